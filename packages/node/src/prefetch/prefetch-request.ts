import type { ProjectFile, ProjectFileKind } from '@modmesh/fill'

/** A file on its way to the node, which may not see the user's. `bytes` is base64. */
interface SentFile {
  readonly path: string
  readonly bytes: string
}

/** What a node is asked to hold. */
export interface PrefetchRequest {
  readonly command: 'prefetch'
  readonly files: readonly (SentFile & { readonly kind: ProjectFileKind })[]
  /** Local files that those name. */
  readonly locals: readonly SentFile[]
  /** Also the Go toolchains that they name, for these: `linux-amd64`. */
  readonly platforms: readonly string[]
  /** Also what `go` does not ask for now. */
  readonly all: boolean
  /** Keep what is needed whatever the size of the store, under this name. */
  readonly pin?: string | undefined
}

/** What a user handed over, read. */
export interface ProjectFiles {
  readonly files: readonly ProjectFile[]
  readonly locals: ReadonlyMap<string, Uint8Array>
}

/** Packs files for the way to the node. */
export function packFiles({
  files,
  locals,
}: ProjectFiles): Pick<PrefetchRequest, 'files' | 'locals'> {
  return {
    files: files.map(({ kind, path, bytes }) => ({ kind, path, bytes: toBase64(bytes) })),
    locals: [...locals].map(([path, bytes]) => ({ path, bytes: toBase64(bytes) })),
  }
}

/** Inverse of packFiles. */
export function unpackFiles({
  files,
  locals,
}: Pick<PrefetchRequest, 'files' | 'locals'>): ProjectFiles {
  return {
    files: files.map(({ kind, path, bytes }) => ({ kind, path, bytes: fromBase64(bytes) })),
    locals: new Map(locals.map(({ path, bytes }) => [path, fromBase64(bytes)])),
  }
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

function fromBase64(text: string): Uint8Array {
  return Buffer.from(text, 'base64')
}

import { createHash } from 'node:crypto'
import {
  formatManifest,
  hashManifest,
  hashMod,
  type ManifestLine,
  type ModHash,
  type ZipHash,
} from '@modmesh/module'
import {
  buildRawZip,
  type Content,
  contentBytes,
  type EntryTweak,
  type RawZipOptions,
} from './raw-zip.ts'

/** A module by name; plain texts, so that tests may name what no module may be called. */
export interface NamedModule {
  readonly path: string
  readonly version: string
}

/** Files by their path inside the module, in the order they are written. A path that ends in `/` is a directory entry. */
export type ModuleFiles = Readonly<Record<string, Content>>

/** How a module zip is written: by default valid and laid out as Go's own writer does. */
export interface ModuleZipOptions extends RawZipOptions {
  /** Instead of `path@version/`. */
  readonly prefix?: string
  /** For every entry. */
  readonly all?: EntryTweak
  /** For single entries, by their key in `files`. Names given here are stored as they are, without the prefix. */
  readonly entries?: Readonly<Record<string, EntryTweak>>
}

/** Builds a module zip in memory; equal input gives equal bytes. The options make zips that lie. */
export function buildModuleZip(
  module: NamedModule,
  files: ModuleFiles,
  options: ModuleZipOptions = {},
): Uint8Array {
  const { prefix = prefixOf(module), all, entries, ...zip } = options
  const raw = Object.entries(files).map(([name, content]) => ({
    ...(name.endsWith('/') ? ({ method: 'store', dataDescriptor: false } as const) : {}),
    ...all,
    ...entries?.[name],
    name: prefix + name,
    content,
  }))
  return buildRawZip(raw, zip)
}

/** The bytes of a module's go.mod; the one line that a proxy makes up when it has none. */
export function modBytes(module: NamedModule, files: ModuleFiles): Uint8Array {
  const own = files['go.mod']
  return own === undefined ? Buffer.from(`module ${module.path}\n`) : contentBytes(own)
}

/** The text that the zip hash is the hash of. */
export function moduleManifest(module: NamedModule, files: ModuleFiles): Uint8Array {
  const lines = Object.entries(files).map(
    ([name, content]): ManifestLine => ({
      name: prefixOf(module) + name,
      sha256: createHash('sha256').update(contentBytes(content)).digest(),
    }),
  )
  return formatManifest(lines)
}

/** The two hashes that go.sum holds for a module with these files. */
export function moduleHashes(
  module: NamedModule,
  files: ModuleFiles,
): { readonly zip: ZipHash; readonly mod: ModHash } {
  return {
    zip: hashManifest(moduleManifest(module, files)),
    mod: hashMod(modBytes(module, files)),
  }
}

function prefixOf(module: NamedModule): string {
  return `${module.path}@${module.version}/`
}

import type { HeldZip, Proof, ZipStore } from '@modmesh/fill'
import { type ModuleVersion, parseModuleVersion, type ZipHash } from '@modmesh/module'
import { buildModuleZip, moduleHashes } from '../../../../test/support/module-zip.ts'

export const never: { readonly signal: AbortSignal } = { signal: new AbortController().signal }
export const proof: Proof = { kind: 'checksum-db', database: 'sum.example', record: 7 }

export function moduleAt(version: string, path = 'example.com/mod'): ModuleVersion {
  return parseModuleVersion(path, version)
}

/** A small valid zip; another `content` gives another h1. */
export function smallZip(
  module: ModuleVersion,
  content = 'package mod\n',
): { readonly bytes: Uint8Array; readonly zipHash: ZipHash } {
  const files = { 'go.mod': `module ${module.path}\n`, 'mod.go': content, 'ü.go': 'package mod\n' }
  return { bytes: buildModuleZip(module, files), zipHash: moduleHashes(module, files).zip }
}

/** Stages, verifies and commits. */
export async function putZip(
  store: ZipStore,
  module: ModuleVersion,
  bytes: Uint8Array,
  why: Proof = proof,
): Promise<HeldZip> {
  const staged = await store.stageZip(module)
  try {
    await staged.write(bytes)
    await staged.verify(undefined, never)
    return await staged.commit(why)
  } finally {
    await staged.discard()
  }
}

/** All bytes of a zip, or of a range. */
export async function readZip(
  zip: HeldZip | undefined,
  range?: { readonly start: number; readonly end: number },
): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of zip?.read(range) ?? []) chunks.push(chunk)
  return Buffer.concat(chunks)
}

import { readFile, stat } from 'node:fs/promises'
import { InvalidHashError, parseZipHash, type ZipHash } from '@modmesh/module'
import { type AdoptedZip, StoreAccessError, StoreWriteError } from '@modmesh/store'
import { errorCode, errorText } from '../errors.ts'
import type { FoundSums, KnownSums } from './adopt-proofs.ts'
import type { CachedKind, CachedVersion } from './module-cache.ts'

/** A `.ziphash` has 47 bytes. */
const maxZipHashBytes = 1024

/** Why nobody vouches for a zip; undefined when somebody does. */
export function whyUnproven(sums: FoundSums): string | undefined {
  if (sums.kind === 'unproven') return sums.why
  return sums.zips.size === 0 ? 'there is a hash of its go.mod alone' : undefined
}

/** The same of a go.mod. */
export function whyModUnproven(sums: FoundSums): string | undefined {
  if (sums.kind === 'unproven') return sums.why
  return sums.mods.size === 0 ? 'there is a hash of its zip alone' : undefined
}

/** What `go` wrote beside the zip must say the same: either of the two was altered. */
export async function zipHashFault(
  version: CachedVersion,
  { zipHash }: AdoptedZip,
): Promise<string | undefined> {
  if (!version.kinds.has('ziphash')) return undefined
  let text: string
  try {
    text = Buffer.from(await readSmall(version, 'ziphash', maxZipHashBytes)).toString('utf8')
  } catch (error) {
    return `its .ziphash cannot be read: ${errorText(error)}`
  }
  const said = parseSaid(text.trim())
  if (said === zipHash) return undefined
  return `its .ziphash says ${said ?? 'no hash'}, its bytes are ${zipHash}`
}

function parseSaid(text: string): ZipHash | undefined {
  try {
    return parseZipHash(text)
  } catch (error) {
    if (error instanceof InvalidHashError) return undefined
    throw error
  }
}

/** How a zip differs from what is known of it; undefined when it does not. */
export function zipFault({ zipHash }: AdoptedZip, known: FoundSums): string | undefined {
  if (known.kind === 'unproven' || known.zips.size === 0 || known.zips.has(zipHash))
    return undefined
  return mismatch(known, [...known.zips], zipHash)
}

/** Tells who says what, and what the bytes are. */
export function mismatch({ proof }: KnownSums, expected: readonly string[], seen: string): string {
  const who = {
    'checksum-db': proof.kind === 'checksum-db' ? proof.database : '',
    'go-sum': 'the go.sum',
    publisher: 'its publisher',
    upstream: 'what was first seen',
  }[proof.kind]
  return `${who} says ${expected.join(' or ')}, its bytes are ${seen}`
}

/** Reads a small file of a version; throws when it is none, or is too large to be one. */
export async function readSmall(
  { base }: CachedVersion,
  kind: CachedKind,
  maxBytes: number,
): Promise<Uint8Array> {
  const path = `${base}.${kind}`
  const found = await stat(path)
  if (!found.isFile()) throw new Error(`${path} is no file`)
  const { size } = found
  if (size > maxBytes) throw new Error(`${path} has ${size} bytes, more than there can be`)
  return await readFile(path)
}

/** The file went, is not ours to read, or is being written: that says nothing about the next one. */
export function isTroubleOfCache(error: unknown): boolean {
  if (error instanceof StoreAccessError) return true
  const code = error instanceof StoreWriteError ? error.errno : errorCode(error)
  return code !== undefined && ['ENOENT', 'EACCES', 'EPERM', 'ELOOP', 'ENOTDIR'].includes(code)
}

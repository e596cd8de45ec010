import type { CID } from 'multiformats/cid'
import type { ModulePath } from './module-path.ts'
import type { ZipHash } from './zip-hash.ts'

/** CIDv1(raw, sha2-256, h1 digest): the content address of the manifest, and so of a zip's content. */
export function contentId(zipHash: ZipHash): CID {
  throw new Error(`to come: ${zipHash}`)
}

/** The DHT key under which peers that hold versions of a module path are found. */
export function nameKey(path: ModulePath): CID {
  throw new Error(`to come: ${path}`)
}

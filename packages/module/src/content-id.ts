import { createHash, createHmac } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as digest from 'multiformats/hashes/digest'
import type { ModulePath } from './module-path.ts'
import { type ZipHash, zipHashBytes } from './zip-hash.ts'

/** CIDv1(raw, sha2-256, h1 digest): the content address of the manifest, and so of a zip's content. */
export function contentId(zipHash: ZipHash): CID {
  return sha256Cid(zipHashBytes(zipHash))
}

/** The DHT key under which peers that hold versions of a module path are found. */
export function nameKey(path: ModulePath): CID {
  return sha256Cid(createHash('sha256').update(`${nameKeyPrefix}${path}`).digest())
}

/** As nameKey, for who knows the secret alone: others can neither make nor read it. */
export function privateNameKey(path: ModulePath, secret: Uint8Array): CID {
  return sha256Cid(createHmac('sha256', secret).update(`${privateNameKeyPrefix}${path}`).digest())
}

function sha256Cid(hash: Uint8Array): CID {
  return CID.createV1(raw.code, digest.create(sha256Code, Uint8Array.from(hash)))
}

/** multicodec code of sha2-256. */
const sha256Code = 0x12

/** Keeps name keys apart from every hash of content. */
const nameKeyPrefix = 'modmesh name key 1\n'

/** As long as a mesh has one secret, it is good for names alone. */
const privateNameKeyPrefix = 'modmesh private name key 1\n'

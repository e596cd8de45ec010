import * as v from 'valibot'
import { isEqual, sha256 } from './bytes.ts'
import { decodeFields, encodeFields, exactBytes } from './canonical-cbor.ts'
import type { SignedBody } from './certificate.ts'
import { signedBodySchema } from './certificate.ts'
import { keyBytes, publicKeyOf } from './ed25519.ts'
import { InvalidRootKeyError } from './errors.ts'
import { maxRotations } from './limits.ts'
import { extendRoots } from './proof.ts'

const prefix = 'modmesh-root-1-'
const checksumBytes = 4
const checksumDomain = Buffer.from('modmesh root key 1\n')
/** Most characters: seed, first root and six changes of it have 2,300. */
const maxChars = 8192

/** A root key as it is kept outside of a node. Whoever has it rules the mesh. */
export interface RootKey {
  /** The mesh's first root key, which names the mesh. */
  readonly root: Uint8Array
  /** Changes of the root, in order. */
  readonly rotations: readonly SignedBody[]
  /** Seed of the last one. */
  readonly seed: Uint8Array
}

const rootKeySchema = v.looseObject({
  v: v.literal(1),
  root: exactBytes(keyBytes),
  seed: exactBytes(keyBytes),
  rotations: v.pipe(v.array(signedBodySchema), v.maxLength(maxRotations)),
})

/** Prints a root key as one word. */
export function formatRootKey({ root, seed, rotations }: RootKey): string {
  const content = encodeFields({
    v: 1,
    root,
    seed,
    rotations: rotations.map(({ body, signature }) => [body, signature]),
  })
  return prefix + Buffer.concat([content, checksum(content)]).toString('base64url')
}

/** Reads a root key; white space around it is ignored. Throws InvalidRootKeyError, which never shows it. */
export function parseRootKey(text: string): RootKey {
  const packed = text.length > maxChars ? '' : text.trim()
  if (!packed.startsWith(prefix)) {
    throw new InvalidRootKeyError(`an exported root key begins with ${prefix}`)
  }
  const bytes = new Uint8Array(Buffer.from(packed.slice(prefix.length), 'base64url'))
  const content = bytes.subarray(0, -checksumBytes)
  if (!isEqual(bytes.subarray(-checksumBytes), checksum(content))) {
    throw new InvalidRootKeyError('the root key is damaged or cut off; copy all of it')
  }
  try {
    const { root, seed, rotations } = v.parse(rootKeySchema, decodeFields(content))
    const headers = rotations.map(([body, signature]) => ({ body, signature }))
    const last = extendRoots([root], headers).at(-1)
    if (last === undefined || !isEqual(publicKeyOf(seed), last)) throw new RangeError('other key')
    return { root, seed, rotations: headers }
  } catch (cause) {
    throw new InvalidRootKeyError('the root key is malformed', { cause })
  }
}

function checksum(content: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([checksumDomain, content])).subarray(0, checksumBytes)
}

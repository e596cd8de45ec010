import { createHash } from 'node:crypto'
import { base32 } from 'multiformats/bases/base32'

const idBytes = 10

/** Names a mesh: 16 characters of base32 of the hash of its root public key. No secret. */
export function meshIdOf(root: Uint8Array): string {
  const hash = createHash('sha256').update('modmesh mesh 1\n').update(root).digest()
  return base32.baseEncode(hash.subarray(0, idBytes))
}

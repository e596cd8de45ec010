import { hex, sha256 } from './bytes.ts'
import { keptBytes } from './limits.ts'

/** Joins whom a change of the root takes along, in order, so that the list says nothing more. */
export function keepList(peers: readonly Uint8Array[]): Uint8Array {
  const keys = [...new Set(peers.map(keptKey))].toSorted()
  return new Uint8Array(Buffer.from(keys.join(''), 'hex'))
}

/** Reads what `keepList` wrote: the kept keys. */
export function readKeepList(list: Uint8Array): ReadonlySet<string> {
  const kept = new Set<string>()
  for (let at = 0; at < list.byteLength; at += keptBytes) {
    kept.add(hex(list.subarray(at, at + keptBytes)))
  }
  return kept
}

/** Names a peer in such a list. */
export function keptKey(peer: Uint8Array): string {
  const domain = Buffer.from('modmesh kept 1\n')
  return hex(sha256(Buffer.concat([domain, peer])).subarray(0, keptBytes))
}

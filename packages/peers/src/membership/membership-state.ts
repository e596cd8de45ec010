import * as v from 'valibot'
import { decodeFields, encodeFields, exactBytes, plainText, someBytes } from './canonical-cbor.ts'
import { keyBytes } from './ed25519.ts'
import { MembershipStateError } from './errors.ts'
import { maxAddressChars, maxChainBytes, maxStateBytes, maxTicketAddresses } from './limits.ts'

/** What a node keeps of its membership over restarts. */
export interface MembershipState {
  readonly chain: Uint8Array
  /** The mesh's root seed, on the node that made the mesh only. */
  readonly rootSeed: Uint8Array | undefined
  /** Addresses out of the ticket it joined with. */
  readonly addresses: readonly string[]
}

const stateSchema = v.looseObject({
  v: v.literal(1),
  chain: someBytes(maxChainBytes),
  rootSeed: v.optional(exactBytes(keyBytes)),
  addresses: v.pipe(v.array(plainText(maxAddressChars)), v.maxLength(maxTicketAddresses)),
})

/** Encodes the state for the store. */
export function encodeState(state: MembershipState): Uint8Array {
  return encodeFields({ v: 1, ...state, addresses: [...state.addresses] })
}

/** Reads a stored state. Throws MembershipStateError: a broken one must not turn a member into a lone node in silence. */
export function decodeState(bytes: Uint8Array): MembershipState {
  try {
    if (bytes.byteLength > maxStateBytes) throw new RangeError('too large')
    const { chain, rootSeed, addresses } = v.parse(stateSchema, decodeFields(bytes))
    return { chain, rootSeed, addresses }
  } catch (cause) {
    throw new MembershipStateError('the stored membership cannot be read', { cause })
  }
}

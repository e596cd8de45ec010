import * as v from 'valibot'
import { decodeFields, encodeFields, exactBytes, plainText, someBytes } from './canonical-cbor.ts'
import { keyBytes } from './ed25519.ts'
import { MembershipStateError } from './errors.ts'
import {
  maxAddressChars,
  maxChainBytes,
  maxRecordBytes,
  maxStateBytes,
  maxTicketAddresses,
} from './limits.ts'

/** What a node keeps of its membership over restarts. */
export interface MembershipState {
  readonly chain: Uint8Array
  /** The seed of a root key of the mesh, on nodes that hold it. */
  readonly rootSeed: Uint8Array | undefined
  /** The seed that a change of the root is under way to. */
  readonly nextRootSeed?: Uint8Array | undefined
  /** Addresses out of the ticket it joined with. */
  readonly addresses: readonly string[]
  /** What counts from the start on that finds the new key of this host. */
  readonly next?: NextKey | undefined
}

/** A change of this host's key that waits for a restart. */
export interface NextKey {
  readonly chain: Uint8Array
  /** The record that ends the old key. */
  readonly record: Uint8Array
}

const nextSchema = v.looseObject({
  chain: someBytes(maxChainBytes),
  record: someBytes(maxRecordBytes),
})

const stateSchema = v.looseObject({
  v: v.literal(1),
  chain: someBytes(maxChainBytes),
  rootSeed: v.optional(exactBytes(keyBytes)),
  nextRootSeed: v.optional(exactBytes(keyBytes)),
  addresses: v.pipe(v.array(plainText(maxAddressChars)), v.maxLength(maxTicketAddresses)),
  next: v.optional(someBytes(maxStateBytes)),
})

/** What is stored after leaving a mesh: the file stays, so that nothing older comes back. */
const leftSchema = v.strictObject({ v: v.literal(1), left: v.literal(true) })

/** Encodes the state for the store; undefined for a node that left its mesh. */
export function encodeState(state: MembershipState | undefined): Uint8Array {
  if (state === undefined) return encodeFields({ v: 1, left: true })
  const next = state.next && encodeFields({ ...state.next })
  return encodeFields({ v: 1, ...state, addresses: [...state.addresses], next })
}

/**
 * Reads a stored state; undefined when this node left its mesh. Throws MembershipStateError: a
 * broken one must not turn a member into a lone node in silence.
 */
export function decodeState(bytes: Uint8Array): MembershipState | undefined {
  try {
    if (bytes.byteLength > maxStateBytes) throw new RangeError('too large')
    const fields = decodeFields(bytes)
    if (v.is(leftSchema, fields)) return undefined
    const { chain, rootSeed, nextRootSeed, addresses, next } = v.parse(stateSchema, fields)
    return { chain, rootSeed, nextRootSeed, addresses, next: next && decodeNext(next) }
  } catch (cause) {
    throw new MembershipStateError('the stored membership cannot be read', { cause })
  }
}

function decodeNext(bytes: Uint8Array): NextKey {
  const { chain, record } = v.parse(nextSchema, decodeFields(bytes))
  return { chain, record }
}

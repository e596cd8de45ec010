import { maxZipBytes } from '@modmesh/module'
import { encode } from 'cborg'
import type { Uint8ArrayList } from 'uint8arraylist'
import * as v from 'valibot'
import { decodeItem } from '../control/frame.ts'
import { ProtocolError } from '../errors.ts'
import { bodyLimits } from './limits.ts'

/** The body protocol's name at multistream-select. */
export const bodyProtocol = '/modmesh/body/1'

/** A zip that is held, or the rest of one. */
export interface ZipRequest {
  readonly kind: 'zip'
  /** The 32 bytes of the h1. */
  readonly zipHash: Uint8Array
  /** How many bytes the asker has of the zip with this digest; before, holders said `unsupported`. */
  readonly offset?: number
  readonly zipDigest?: Uint8Array
  /** No byte from there on is wanted; older holders send them. */
  readonly end?: number
}

/** The next part of a zip that an owner is still receiving. */
export interface UnverifiedRequest {
  readonly kind: 'unverified'
  readonly path: string
  readonly version: string
  readonly offset: number
  /** The body that the part before was of; absent in the first request. */
  readonly body?: number
}

/** Bytes of no meaning, to measure the link. Answered as one part; before, `unsupported`. */
interface ProbeRequest {
  readonly kind: 'probe'
  readonly length: number
}

/** What is asked for; later kinds are answered `unsupported`. */
export type BodyRequest = ZipRequest | UnverifiedRequest | ProbeRequest

/** What comes before the bytes. */
export type BodyHeader =
  /** `length` is that of the whole; the bytes begin at `offset`, absent at the beginning, and go up to `end`, absent at the end. */
  | {
      readonly status: 'ok'
      readonly length: number
      readonly zipDigest: Uint8Array
      readonly offset?: number
      readonly end?: number
    }
  /** `length` bytes of a zip that is on its way: neither verified nor digested; 0 when there are no more yet. */
  | {
      readonly status: 'part'
      readonly body: number
      readonly length: number
      readonly last: boolean
    }
  | { readonly status: 'absent' }
  /** Too many uploads; `retryMs` is a suggestion. */
  | { readonly status: 'busy'; readonly retryMs: number }
  | { readonly status: 'unsupported' }

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const hash = v.pipe(v.instance(Uint8Array), v.length(32))

const name = v.pipe(v.string(), v.maxLength(bodyLimits.nameLength))

const request: v.GenericSchema<unknown, BodyRequest> = v.variant('kind', [
  v.object({
    kind: v.literal('zip'),
    zipHash: hash,
    offset: v.exactOptional(count),
    zipDigest: v.exactOptional(hash),
    end: v.exactOptional(count),
  }),
  v.object({
    kind: v.literal('unverified'),
    path: name,
    version: name,
    offset: v.pipe(count, v.maxValue(maxZipBytes)),
    body: v.exactOptional(count),
  }),
  v.object({
    kind: v.literal('probe'),
    length: v.pipe(count, v.maxValue(bodyLimits.probeBytes)),
  }),
])
const kinds: ReadonlySet<string> = new Set(['zip', 'unverified', 'probe'])

const otherRequest = v.object({ kind: v.string() })

const header: v.GenericSchema<unknown, BodyHeader> = v.variant('status', [
  v.object({
    status: v.literal('ok'),
    length: v.pipe(count, v.maxValue(maxZipBytes)),
    zipDigest: hash,
    offset: v.exactOptional(count),
    end: v.exactOptional(count),
  }),
  v.object({
    status: v.literal('part'),
    body: count,
    length: v.pipe(count, v.maxValue(bodyLimits.partBytes)),
    last: v.boolean(),
  }),
  v.object({ status: v.literal('absent') }),
  v.object({ status: v.literal('busy'), retryMs: count }),
  v.object({ status: v.literal('unsupported') }),
])

export function encodeBodyRequest(value: BodyRequest): Uint8Array {
  return encode(value)
}

/** Reads a request; undefined is one of a later version. Throws ProtocolError. */
export function decodeBodyRequest(bytes: Uint8Array): BodyRequest | undefined {
  const item = decodeShort(bytes)
  const parsed = v.safeParse(request, item)
  if (parsed.success) return parsed.output
  const other = v.safeParse(otherRequest, item)
  if (other.success && !kinds.has(other.output.kind)) return undefined
  throw new ProtocolError('not a body request')
}

export function encodeBodyHeader(value: BodyHeader): Uint8Array {
  return encode(value)
}

/** Reads a header; a length beyond the zip limit is refused. Throws ProtocolError. */
export function decodeBodyHeader(bytes: Uint8Array): BodyHeader {
  const parsed = v.safeParse(header, decodeShort(bytes))
  if (!parsed.success) throw new ProtocolError('not a body header')
  return parsed.output
}

/**
 * How requests and headers are framed: a length in one or two bytes, then so many. libp2p's own
 * decoder would go on reading a length that does not end.
 */
export const bodyFraming: {
  readonly maxDataLength: number
  readonly lengthDecoder: (bytes: Uint8ArrayList) => number
} = { maxDataLength: bodyLimits.headerBytes, lengthDecoder: decodeLength }

/** Reads a length; `get` throws RangeError while it is incomplete. Throws ProtocolError when too long. */
function decodeLength(bytes: Uint8ArrayList): number {
  const low = bytes.get(0)
  if (low < 0x80) return low
  const high = bytes.get(1)
  if (high >= 0x80) throw new ProtocolError('body header too long')
  return (low & 0x7f) | (high << 7)
}

function decodeShort(bytes: Uint8Array): unknown {
  if (bytes.byteLength > bodyLimits.headerBytes) throw new ProtocolError('body header too long')
  return decodeItem(bytes)
}

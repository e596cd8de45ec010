import { maxZipBytes } from '@modmesh/module'
import { encode } from 'cborg'
import type { Uint8ArrayList } from 'uint8arraylist'
import * as v from 'valibot'
import { decodeItem } from '../control/frame.ts'
import { ProtocolError } from '../errors.ts'
import { bodyLimits } from '../limits.ts'

/** The body protocol's name at multistream-select. */
export const bodyProtocol = '/modmesh/body/1'

/** What is asked for. Other kinds and offsets come later; today they are answered `unsupported`. */
export interface BodyRequest {
  readonly kind: 'zip'
  /** The 32 bytes of the h1. */
  readonly zipHash: Uint8Array
  readonly offset?: number
}

/** What comes before the bytes. */
export type BodyHeader =
  | { readonly status: 'ok'; readonly length: number; readonly zipDigest: Uint8Array }
  | { readonly status: 'absent' }
  /** Too many uploads; `retryMs` is a suggestion. */
  | { readonly status: 'busy'; readonly retryMs: number }
  | { readonly status: 'unsupported' }

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const hash = v.pipe(v.instance(Uint8Array), v.length(32))

const request: v.GenericSchema<unknown, BodyRequest> = v.object({
  kind: v.literal('zip'),
  zipHash: hash,
  offset: v.exactOptional(count),
})

const otherRequest = v.object({ kind: v.string() })

const header: v.GenericSchema<unknown, BodyHeader> = v.variant('status', [
  v.object({
    status: v.literal('ok'),
    length: v.pipe(count, v.maxValue(maxZipBytes)),
    zipDigest: hash,
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
  if (other.success && other.output.kind !== 'zip') return undefined
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

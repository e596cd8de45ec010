import { type ByteSink, PeerError, type PeerId, type ZipRange } from '@modmesh/fill'
import { type ZipHash, zipHashBytes } from '@modmesh/module'
import { ProtocolError } from '../errors.ts'
import type { ReceiveBody } from './exchange.ts'
import type { BodyHeader, ZipRequest } from './message.ts'
import { NotGivenError } from './not-given.ts'
import { digestBytes, digestOf, type OkHeader } from './zip-fetch.ts'

/** What is asked for of a zip whose other parts come from others. */
export function rangeRequest(zipHash: ZipHash, range: ZipRange): ZipRequest {
  const { zipDigest, start: offset, end } = range
  const asked = { kind: 'zip', zipHash: zipHashBytes(zipHash) } as const
  return { ...asked, offset, zipDigest: digestBytes(zipDigest), end }
}

/**
 * Takes an answer and the bytes of the part. A holder that is older than parts sends more: the sink ends
 * that. Throws PeerError for a holder of other bytes, ProtocolError, NotGivenError, what `receive` throws.
 */
export async function takeRange(
  {
    peer,
    range,
    sink,
  }: { readonly peer: PeerId; readonly range: ZipRange; readonly sink: ByteSink },
  header: BodyHeader,
  receive: ReceiveBody,
): Promise<void> {
  if (header.status === 'part') throw new ProtocolError('a part where a zip was due')
  if (header.status !== 'ok') throw new NotGivenError(header)
  if (digestOf(header) !== range.zipDigest || header.length !== range.size) {
    throw new PeerError(peer, 'has other bytes', { fault: 'unable' })
  }
  const { offset = 0 } = header
  const end = endOf(header, range)
  if (offset !== range.start) throw new ProtocolError('bytes that were not asked for')
  await receive(sink, end - offset)
}

function endOf({ length, end }: OkHeader, range: ZipRange): number {
  if (end === undefined) return length
  if (end !== range.end || end >= length) throw new ProtocolError('bytes that were not asked for')
  return end
}

import type { MessageStream } from '@libp2p/interface'
import type { RefusalReason } from '../membership/errors.ts'
import { NotAMemberError } from '../membership/errors.ts'
import type { Side } from './admission.ts'
import { AdmissionCutError, RefusedByPeerError, SelfDialError } from './errors.ts'

/** Why a connection did not pass the gate. */
export type RefusalCause =
  | { readonly kind: 'not-a-member'; readonly reason: RefusalReason }
  | { readonly kind: 'refused-by-peer'; readonly reason: RefusalReason | undefined }
  | { readonly kind: 'silent' }
  | { readonly kind: 'self' }
  | { readonly kind: 'unexpected-peer' }
  | { readonly kind: 'handshake' }

/** One connection that did not pass the gate, in words for a log and for `status`. */
export interface Refusal {
  readonly direction: 'inbound' | 'outbound'
  /** Proven or expected peer id; undefined when the handshake did not end. */
  readonly peer: string | undefined
  /** The other end's multiaddr. */
  readonly address: string
  readonly cause: RefusalCause
  readonly message: string
}

/** Describes a failed upgrade. */
export function toRefusal(
  side: Side,
  peer: string | undefined,
  stream: MessageStream,
  error: Error,
): Refusal {
  return {
    direction: side === 'dialler' ? 'outbound' : 'inbound',
    peer,
    address: addressOf(stream),
    cause: toCause(error),
    message: error.message,
  }
}

function toCause(error: Error): RefusalCause {
  if (error instanceof NotAMemberError) return { kind: 'not-a-member', reason: error.reason }
  if (error instanceof RefusedByPeerError) return { kind: 'refused-by-peer', reason: error.reason }
  if (error instanceof AdmissionCutError) return { kind: 'silent' }
  if (error instanceof SelfDialError) return { kind: 'self' }
  // Both encrypters throw this class of libp2p when another key answers than the dialled one.
  if (error.name === 'UnexpectedPeerError') return { kind: 'unexpected-peer' }
  return { kind: 'handshake' }
}

function addressOf(stream: MessageStream): string {
  // libp2p hands encrypters the raw connection, typed as its base.
  return 'remoteAddr' in stream ? String(stream.remoteAddr) : ''
}

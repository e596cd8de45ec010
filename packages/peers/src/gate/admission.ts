import type { MessageStream } from '@libp2p/interface'
import type { ByteStream } from '@libp2p/utils'
import { byteStream } from '@libp2p/utils'
import type { Member } from '../membership/chain.ts'
import { NotAMemberError } from '../membership/errors.ts'
import { maxChainBytes } from '../membership/limits.ts'
import type { Membership } from '../membership/membership.ts'
import { AdmissionCutError, RefusedByPeerError } from './errors.ts'
import { gateBufferBytes, refusalFlushMs } from './limits.ts'
import { accepted, formatVerdict, parseVerdict } from './verdict.ts'

/** Which end of the connection we are. The listener shows its chain only to a member. */
export type Side = 'dialler' | 'listener'

/**
 * Exchanges and checks chains on a connection whose handshake proved `peerId`, as
 * docs/protocols/membership.md says, and returns who is there. Unread bytes stay on the connection.
 * Throws NotAMemberError, RefusedByPeerError, AdmissionCutError; the connection is then gone.
 */
export async function admit(
  connection: MessageStream,
  peer: { readonly side: Side; readonly peerId: string },
  membership: Membership,
  options: { readonly signal: AbortSignal },
): Promise<Member> {
  const bytes = byteStream(connection, { maxBufferSize: gateBufferBytes })
  const exchange = new Exchange(bytes, options.signal)
  try {
    const member =
      peer.side === 'dialler'
        ? await asDialler(exchange, membership, peer.peerId)
        : await asListener(exchange, membership, peer.peerId)
    bytes.unwrap()
    return member
  } catch (error) {
    const reason = toError(error, options.signal)
    if (reason instanceof NotAMemberError) await exchange.refuse(connection, reason)
    connection.abort(reason)
    throw reason
  }
}

async function asDialler(
  exchange: Exchange,
  membership: Membership,
  peerId: string,
): Promise<Member> {
  await exchange.sendChain(ownChain(membership))
  await exchange.expectAccepted()
  const member = membership.verify(await exchange.readChain(), peerId)
  await exchange.sendAccepted()
  return member
}

async function asListener(
  exchange: Exchange,
  membership: Membership,
  peerId: string,
): Promise<Member> {
  const own = ownChain(membership)
  const member = membership.verify(await exchange.readChain(), peerId)
  await exchange.sendAccepted(own)
  await exchange.expectAccepted()
  return member
}

function ownChain(membership: Membership): Uint8Array {
  const chain = membership.chain()
  if (chain !== undefined && membership.isMember()) return chain
  throw new NotAMemberError('no-mesh', 'this node belongs to no mesh')
}

class Exchange {
  readonly #bytes: ByteStream<MessageStream>
  readonly #signal: AbortSignal

  constructor(bytes: ByteStream<MessageStream>, signal: AbortSignal) {
    this.#bytes = bytes
    this.#signal = signal
  }

  sendChain(chain: Uint8Array): Promise<void> {
    return this.#write(framed(chain))
  }

  sendAccepted(chain?: Uint8Array): Promise<void> {
    const verdict = Buffer.from([accepted])
    return this.#write(chain === undefined ? verdict : Buffer.concat([verdict, framed(chain)]))
  }

  async readChain(): Promise<Uint8Array> {
    const [high = 0, low = 0] = await this.#read(2)
    const length = high * 256 + low
    if (length > maxChainBytes) {
      throw new NotAMemberError('too-large', `the chain is larger than ${maxChainBytes} bytes`)
    }
    if (length === 0) throw new NotAMemberError('malformed', 'the peer showed no membership')
    return this.#read(length)
  }

  async expectAccepted(): Promise<void> {
    const [verdict = -1] = await this.#read(1)
    if (verdict !== accepted) throw new RefusedByPeerError(parseVerdict(verdict))
  }

  /** Tells the peer why, so that its operator learns it; gives up soon when it does not listen. */
  async refuse(connection: MessageStream, error: NotAMemberError): Promise<void> {
    const signal = AbortSignal.timeout(refusalFlushMs)
    try {
      connection.send(Uint8Array.of(formatVerdict(error.reason)))
      await connection.close({ signal })
    } catch {
      // The refusal is a courtesy: the caller cuts the connection next.
    }
  }

  async #read(length: number): Promise<Uint8Array> {
    const list = await this.#bytes.read({ bytes: length, signal: this.#signal })
    return list.slice()
  }

  #write(data: Uint8Array): Promise<void> {
    return this.#bytes.write(data, { signal: this.#signal })
  }
}

function framed(chain: Uint8Array): Buffer {
  const frame = Buffer.alloc(2 + chain.byteLength)
  frame.writeUInt16BE(chain.byteLength)
  frame.set(chain, 2)
  return frame
}

function toError(error: unknown, signal: AbortSignal): Error {
  if (error instanceof NotAMemberError || error instanceof RefusedByPeerError) return error
  // libp2p rejects some waits with an event instead of an Error.
  const cause = error instanceof Error ? error : undefined
  const words = signal.aborted
    ? 'no proof of membership came in time'
    : 'the connection ended before membership was proven'
  return new AdmissionCutError(words, { cause })
}

import type {
  ConnectionEncrypter,
  MessageStream,
  SecureConnectionOptions,
  SecuredConnection,
} from '@libp2p/interface'
import { serviceCapabilities } from '@libp2p/interface'
import type { Member } from '../membership/chain.ts'
import { NotAMemberError } from '../membership/errors.ts'
import type { Membership } from '../membership/membership.ts'
import type { Side } from './admission.ts'
import { admit } from './admission.ts'
import type { CatchUp } from './catch-up.ts'
import { SelfDialError } from './errors.ts'
import { gateTimeoutMs, maxRememberedMembers } from './limits.ts'
import { patience } from './patience.ts'
import type { Refusal } from './refusal.ts'
import { toRefusal } from './refusal.ts'

/** What the gate needs. */
export interface GateComponents {
  readonly membership: Membership
  /** Resolves when this node may let others in. */
  readonly catchUp: CatchUp
  /** Called for each connection that did not pass. A stranger can cause many: limit what you log. */
  readonly refused: (refusal: Refusal) => void
}

/** What a test may change. */
export interface GateInit {
  readonly selfPeerId: string
  /** Time for the exchange, milliseconds. */
  readonly timeoutMs?: number | undefined
}

/**
 * Puts the proof of membership into the security upgrade, in both directions (design section 5,
 * Gate). libp2p never sees a connection that did not pass.
 */
export class Gate {
  readonly #components: GateComponents
  readonly #init: GateInit
  readonly #members = new Map<string, Member>()

  constructor(components: GateComponents, init: GateInit) {
    this.#components = components
    this.#init = init
  }

  /** Returns what a peer proved last, connected or not, or undefined for one that did not pass. */
  member(peerId: string): Member | undefined {
    return this.#members.get(peerId)
  }

  /** Takes what a peer that passed proves from now on; undefined: nothing any more. */
  prove(peerId: string, member: Member | undefined): void {
    if (member === undefined) this.#members.delete(peerId)
    else this.#remember(peerId, member)
  }

  /** Wraps an encrypter under a protocol name of its own, which also versions the exchange. */
  wrap<C>(
    factory: (components: C) => ConnectionEncrypter,
    protocol: string,
  ): (components: C) => ConnectionEncrypter {
    return (components) => {
      const inner = factory(components)
      return {
        protocol,
        [Symbol.toStringTag]: 'modmesh/gate',
        [serviceCapabilities]: ['@libp2p/connection-encryption'],
        secureInbound: (stream, options) =>
          this.#secure(stream, 'listener', (o) => inner.secureInbound(stream, o), options),
        secureOutbound: (stream, options) =>
          this.#secure(stream, 'dialler', (o) => inner.secureOutbound(stream, o), options),
      }
    }
  }

  async #secure(
    stream: MessageStream,
    side: Side,
    handshake: (options: SecureConnectionOptions) => Promise<SecuredConnection>,
    options: SecureConnectionOptions = {},
  ): Promise<SecuredConnection> {
    let peerId = options.remotePeer?.toString()
    try {
      // A lone node has no peers: it does not even shake hands.
      if (!this.#components.membership.isMember()) {
        throw new NotAMemberError('no-mesh', 'this node belongs to no mesh')
      }
      // Early muxer negotiation would start the muxer before the proof.
      const secured = await handshake({ ...options, skipStreamMuxerNegotiation: true })
      peerId = secured.remotePeer.toString()
      this.#remember(peerId, await this.#admit(secured.connection, side, peerId, options.signal))
      // Without `streamMuxer`, even if a peer offered one early.
      return { connection: secured.connection, remotePeer: secured.remotePeer }
    } catch (error) {
      const cause = error instanceof Error ? error : new Error('handshake failed')
      stream.abort(cause)
      this.#components.refused(toRefusal(side, peerId, stream, cause))
      throw cause
    }
  }

  async #admit(
    connection: MessageStream,
    side: Side,
    peerId: string,
    outer: AbortSignal | undefined,
  ): Promise<Member> {
    if (peerId === this.#init.selfPeerId) throw new SelfDialError('the address is our own')
    using time = patience(this.#init.timeoutMs ?? gateTimeoutMs)
    const signal = outer === undefined ? time.signal : AbortSignal.any([outer, time.signal])
    if (side === 'listener') await this.#components.catchUp.done()
    return await admit(connection, { side, peerId }, this.#components.membership, { signal })
  }

  #remember(peerId: string, member: Member): void {
    this.#members.delete(peerId)
    this.#members.set(peerId, member)
    if (this.#members.size <= maxRememberedMembers) return
    const oldest = this.#members.keys().next().value
    if (oldest !== undefined) this.#members.delete(oldest)
  }
}

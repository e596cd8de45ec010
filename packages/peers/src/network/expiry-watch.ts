import type { Connection, Libp2p } from '@libp2p/interface'
import type { Gate } from '../gate/gate.ts'
import { NotAMemberError } from '../membership/errors.ts'
import type { Membership } from '../membership/membership.ts'
import { expiryCheckMs, ledgerCheckMs } from './limits.ts'
import type { NetworkEvent } from './network-event.ts'
import type { MeshServices } from './settings.ts'

/** What the watch works with. */
export interface ExpiryWatchComponents {
  readonly libp2p: Libp2p<MeshServices>
  readonly gate: Gate
  readonly membership: Membership
  readonly log: (event: NetworkEvent) => void
}

/**
 * Closes live connections to members whose membership, or ours, has ended meanwhile: by time, or
 * because the mesh said so.
 */
export class ExpiryWatch {
  readonly #components: ExpiryWatchComponents
  readonly #timer: NodeJS.Timeout
  readonly #stopListening: (() => void)[]
  #soon: NodeJS.Timeout | undefined

  constructor(
    components: ExpiryWatchComponents,
    init: { readonly everyMs?: number | undefined } = {},
  ) {
    const { membership } = components
    this.#components = components
    this.#timer = setInterval(() => this.check(), init.everyMs ?? expiryCheckMs)
    this.#timer.unref()
    this.#stopListening = [
      membership.onLedger(() => this.#judgeSoon()),
      membership.onChange(() => this.check()),
    ]
  }

  /** Looks at every connection once. */
  check(): void {
    const nowMs = this.#components.membership.nowMs()
    for (const connection of this.#components.libp2p.getConnections()) {
      if (!this.#mayStay(connection, nowMs)) this.#close(connection)
    }
  }

  /** Ends the checks. */
  stop(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#soon)
    for (const stop of this.#stopListening) stop()
  }

  /** Many records of one moment cost one look. */
  #judgeSoon(): void {
    if (this.#soon !== undefined) return
    this.#soon = setTimeout(() => {
      this.#soon = undefined
      this.#judgeAll()
      this.check()
    }, ledgerCheckMs)
  }

  #judgeAll(): void {
    const { gate, libp2p, membership } = this.#components
    for (const peer of libp2p.getPeers().map(String)) {
      const member = gate.member(peer)
      if (member === undefined) continue
      try {
        gate.prove(peer, membership.verify(member.chain, peer))
      } catch (error) {
        if (!(error instanceof NotAMemberError)) throw error
        gate.prove(peer, undefined)
        this.#components.log({ kind: 'member-revoked', peer, message: error.message })
      }
    }
  }

  #mayStay(connection: Connection, nowMs: number): boolean {
    const { gate, membership } = this.#components
    const member = gate.member(connection.remotePeer.toString())
    if (member === undefined || !membership.isMember(nowMs)) return false
    return member.expiresMs === undefined || nowMs < member.expiresMs
  }

  #close(connection: Connection): void {
    const { gate, log } = this.#components
    const peer = connection.remotePeer.toString()
    if (gate.member(peer) !== undefined) log({ kind: 'member-expired', peer })
    connection.abort(new Error('the membership ended'))
  }
}

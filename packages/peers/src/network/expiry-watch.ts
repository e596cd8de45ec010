import type { Connection, Libp2p } from '@libp2p/interface'
import type { Gate } from '../gate/gate.ts'
import type { Membership } from '../membership/membership.ts'
import { expiryCheckMs } from './limits.ts'
import type { NetworkEvent } from './network-event.ts'
import type { MeshServices } from './settings.ts'

/** What the watch works with. */
export interface ExpiryWatchComponents {
  readonly libp2p: Libp2p<MeshServices>
  readonly gate: Gate
  readonly membership: Membership
  readonly log: (event: NetworkEvent) => void
}

/** Closes live connections to members whose membership, or ours, has ended meanwhile. */
export class ExpiryWatch {
  readonly #components: ExpiryWatchComponents
  readonly #timer: NodeJS.Timeout

  constructor(
    components: ExpiryWatchComponents,
    init: { readonly everyMs?: number | undefined } = {},
  ) {
    this.#components = components
    this.#timer = setInterval(() => this.check(), init.everyMs ?? expiryCheckMs)
    this.#timer.unref()
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
  }

  #mayStay(connection: Connection, nowMs: number): boolean {
    const { gate, membership } = this.#components
    const member = gate.member(connection.remotePeer.toString())
    if (member === undefined || !membership.isMember(nowMs)) return false
    return member.expiresMs === undefined || nowMs < member.expiresMs
  }

  #close(connection: Connection): void {
    this.#components.log({ kind: 'member-expired', peer: connection.remotePeer.toString() })
    connection.abort(new Error('the membership ended'))
  }
}

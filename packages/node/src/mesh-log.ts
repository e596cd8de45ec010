import type { Clock } from '@modmesh/fill'
import type { MeshEvent } from '@modmesh/peers'
import { errorText } from './errors.ts'
import type { Logger } from './log.ts'
import { printableName } from './printable.ts'

type Refusal = Extract<MeshEvent, { readonly kind: 'refused' }>['refusal']

/** Lines about strangers per minute: they can knock as often as they like. */
const strangerLines = 10
const minuteMs = 60_000

/** Writes what the mesh tells into the log. */
export class MeshLog {
  readonly #log: Logger
  readonly #clock: Pick<Clock, 'monotonicMs'>
  #minute = -1
  #lines = 0
  #left = 0

  constructor(components: { readonly log: Logger; readonly clock: Pick<Clock, 'monotonicMs'> }) {
    this.#log = components.log
    this.#clock = components.clock
  }

  record(event: MeshEvent): void {
    const log = this.#log
    switch (event.kind) {
      case 'peer-up': {
        const { peer } = event
        log.info(
          { peer, name: printableName(event.name), site: printableName(event.site) },
          'peer connected',
        )
        return
      }
      case 'peer-down':
        log.info({ peer: event.peer }, 'peer gone')
        return
      case 'peer-blamed':
        log.warn({ peer: event.peer, reason: printableName(event.reason) }, 'peer is avoided')
        return
      case 'peer-version':
        log.warn(
          { peer: event.peer, versions: event.versions },
          'peer is not used: no protocol version in common',
        )
        return
      case 'refused':
        this.#refused(event.refusal)
        return
      case 'member-expired':
        log.info({ peer: event.peer }, 'membership of a peer ran out')
        return
      case 'member-revoked':
        log.warn(
          { peer: event.peer, reason: printableName(event.message) },
          'peer is out: its membership was ended',
        )
        return
      case 'dial-failed': {
        const reason = printableName(event.message)
        log.debug({ target: event.target, reason }, 'peer not reached')
        return
      }
      case 'dial-succeeded':
        log.debug({ target: event.target, peer: event.peer }, 'peer reached')
        return
      case 'lan-peer-found':
        log.debug({ peer: event.peer }, 'member found on the local network')
        return
      case 'lan-discovery-failed':
      case 'hints-recreated':
        log.warn({ reason: printableName(event.message) }, meshWords[event.kind])
        return
      case 'failed': {
        const stack = event.error instanceof Error ? event.error.stack : undefined
        log.error({ reason: errorText(event.error), stack }, 'a step of the mesh failed')
        return
      }
    }
  }

  #refused(refusal: Refusal): void {
    const reason = printableName(refusal.message)
    this.#stranger({ ...refusal, message: undefined, reason }, refusalWords[refusal.cause.kind])
  }

  #stranger(
    fields: object,
    { level, words }: (typeof refusalWords)[keyof typeof refusalWords],
  ): void {
    const minute = Math.floor(this.#clock.monotonicMs() / minuteMs)
    if (minute !== this.#minute) {
      if (this.#left > 0) this.#log.warn({ count: this.#left }, 'further connections refused')
      this.#minute = minute
      this.#lines = 0
      this.#left = 0
    }
    this.#lines += 1
    if (this.#lines <= strangerLines) this.#log[level](fields, words)
    else this.#left += 1
  }
}

/** Only who showed a proof that is none is called no member: a good one may just be slow. */
const refusalWords = {
  'not-a-member': { level: 'warn', words: 'connection refused: not a member' },
  'refused-by-peer': { level: 'warn', words: 'a peer refuses this node' },
  silent: { level: 'info', words: 'connection given up: no proof of membership' },
  self: { level: 'info', words: 'connection given up: an address of this node itself' },
  'unexpected-peer': { level: 'warn', words: 'connection refused: another node is at the address' },
  handshake: { level: 'info', words: 'connection given up: the handshake failed' },
} as const satisfies Record<Refusal['cause']['kind'], { level: 'warn' | 'info'; words: string }>

const meshWords = {
  'lan-discovery-failed': 'cannot look for members on the local network',
  'hints-recreated': 'hints about peers were damaged and begun anew',
} as const

import type { Libp2p, Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import {
  type Clock,
  type DeltaLink,
  type DeltaQuestion,
  type DeltaTalk,
  type PeerDeltas,
  PeerError,
  type PeerId,
  Turns,
} from '@modmesh/fill'
import { type ZipHash, zipHashBytes } from '@modmesh/module'
import { type BodyTimes, bodyLimits } from '../body/limits.ts'
import { NotGivenError } from '../body/not-given.ts'
import { contentKey } from '../control/content-set.ts'
import type { ControlHub } from '../control/control-hub.ts'
import type { PeerLink } from '../control/peer-link.ts'
import { isProtocolFault } from '../errors.ts'
import type { Fetching, PeerScores } from '../peer-score.ts'
import type { SiteLinks, Taking } from '../sites/site-links.ts'
import { assumedLinkRate, deltaLimits } from './limits.ts'
import { deltaCapability, deltaProtocol } from './message.ts'
import { Talk } from './talk.ts'

type Waiting = { readonly signal: AbortSignal }

/** What a delta client works with. */
export interface DeltaClientComponents {
  readonly libp2p: Libp2p
  readonly clock: Clock
  readonly hub: Pick<ControlHub, 'link' | 'whenLinked'>
  readonly scores: PeerScores
  readonly siteLinks: Pick<SiteLinks, 'linkOf' | 'taking' | 'closing' | 'saved'>
  readonly isForeign: (peer: PeerId) => boolean
  /** Told of holders that did not deliver. */
  readonly notGiven: (peer: PeerId, zipHash: ZipHash, error: PeerError) => void
}

/** Asks members of other sites for zips in parts. */
export class DeltaClient implements PeerDeltas {
  readonly #components: DeltaClientComponents
  readonly #times: BodyTimes
  readonly #turns = new Turns(deltaLimits.atOnce)

  constructor(components: DeltaClientComponents, init: { readonly times: BodyTimes }) {
    this.#components = components
    this.#times = init.times
  }

  async link(peer: PeerId, options: Waiting): Promise<DeltaLink | undefined> {
    const link = await this.#connected(peer, options)
    const canTell = link?.hello?.capabilities.includes(deltaCapability) ?? false
    const way = this.#components.siteLinks.linkOf(peer)
    if (!canTell || way === undefined) return undefined
    return { bytesPerSecond: way.bytesPerSecond ?? assumedLinkRate }
  }

  holds(peer: PeerId, zipHash: ZipHash): boolean {
    return this.#components.hub.link(peer)?.inventory.has(contentKey(zipHash)) ?? false
  }

  saved(peer: PeerId, bytes: number): void {
    this.#components.siteLinks.saved(peer, bytes)
  }

  async talk(
    peer: PeerId,
    question: DeltaQuestion,
    options: Waiting & { readonly onBytes: (bytes: number) => void },
  ): Promise<DeltaTalk> {
    const { scores, notGiven, siteLinks } = this.#components
    const closing = siteLinks.closing(peer)
    const signal =
      closing === undefined ? options.signal : AbortSignal.any([options.signal, closing])
    const taking = siteLinks.taking(peer, 'parts')
    const leave = await this.#turn(options).catch((error: unknown) => {
      taking?.end()
      throw error
    })
    // How fast parts come says little of how fast a zip would: it is not told that they begin.
    const fetching = scores.fetching(peer)
    const onBytes = (bytes: number): void => {
      fetching.moved(bytes)
      options.onBytes(bytes)
    }
    let talk: Talk | undefined
    let isDone = false
    const finish = (outcome: Parameters<Fetching['ended']>[0]): void => {
      if (isDone) return
      isDone = true
      fetching.ended(outcome)
      taking?.end()
      leave()
    }
    const failed = (error: unknown): Error => {
      options.signal.throwIfAborted()
      const told = error instanceof PeerError ? error : toPeerError(peer, error)
      finish(told.fault === 'busy' ? 'busy' : 'bad')
      notGiven(peer, question.zipHash, told)
      return told
    }
    try {
      talk = await this.#ask(peer, question, { signal, onBytes, failed, taking })
    } catch (error) {
      try {
        throw failed(error)
      } finally {
        finish('none')
      }
    }
    talk.onClosed = (isGood) => {
      finish(isGood ? 'good' : 'none')
    }
    return talk
  }

  /** Asks a busy peer again, a few times. */
  async #ask(
    peer: PeerId,
    question: DeltaQuestion,
    options: Waiting & {
      readonly onBytes: (bytes: number) => void
      readonly failed: (error: unknown) => Error
      readonly taking: Taking | undefined
    },
  ): Promise<Talk> {
    const { clock } = this.#components
    for (let tries = 1; ; tries++) {
      const stream = await this.#open(peer, options.signal)
      const talk = new Talk(stream, options)
      try {
        await talk.ask(toRequest(question), options)
        return talk
      } catch (error) {
        await talk[Symbol.asyncDispose]()
        const retryMs = error instanceof NotGivenError ? error.retryMs : undefined
        if (retryMs === undefined || tries >= bodyLimits.busyTries) throw error
        options.onBytes(0)
        await clock.sleep(retryMs, options)
      }
    }
  }

  /** Waits for its turn, and shows meanwhile that it does. */
  async #turn({
    signal,
    onBytes,
  }: Waiting & { readonly onBytes: (bytes: number) => void }): Promise<() => void> {
    const taken = Promise.withResolvers<void>()
    const left = Promise.withResolvers<void>()
    const turn = this.#turns.run(
      async () => {
        taken.resolve()
        await left.promise
      },
      { signal },
    )
    turn.catch((error: unknown) => taken.reject(error))
    const timer = setInterval(() => onBytes(0), deltaLimits.workingMs)
    try {
      await taken.promise
      return left.resolve
    } finally {
      clearInterval(timer)
    }
  }

  async #connected(peer: PeerId, { signal }: Waiting): Promise<PeerLink | undefined> {
    const { hub, libp2p, isForeign } = this.#components
    const known = hub.link(peer)
    if (known !== undefined || !isForeign(peer)) return known
    const inTime = { signal: AbortSignal.any([signal, AbortSignal.timeout(this.#times.connectMs)]) }
    try {
      await libp2p.dial(peerIdFromString(peer), inTime)
      return await hub.whenLinked(peer, inTime)
    } catch {
      signal.throwIfAborted()
      return undefined // who asks for the whole zip will learn why
    }
  }

  #open(peer: PeerId, signal: AbortSignal): Promise<Stream> {
    return this.#components.libp2p.dialProtocol(peerIdFromString(peer), deltaProtocol, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(this.#times.connectMs)]),
    })
  }
}

function toRequest({ zipHash, bases, hasManifest }: DeltaQuestion): Parameters<Talk['ask']>[0] {
  return {
    kind: 'zip',
    zipHash: zipHashBytes(zipHash),
    hasManifest,
    bases: bases.slice(0, deltaLimits.bases).map(({ zipHash: base, sketch }) => {
      const isFit = sketch !== undefined && sketch.length <= deltaLimits.sketchBytes
      return { zipHash: zipHashBytes(base), ...(isFit ? { sketch } : {}) }
    }),
  }
}

function toPeerError(peer: PeerId, error: unknown): PeerError {
  const message = error instanceof Error ? error.message : 'transfer failed'
  const isBusy = error instanceof NotGivenError && error.status === 'busy'
  const other = isBusy ? 'busy' : 'unable'
  const fault = isProtocolFault(error) ? 'protocol' : other
  return new PeerError(peer, message, { cause: error, fault })
}

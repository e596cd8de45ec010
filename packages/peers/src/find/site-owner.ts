import {
  type OwnerAnswer,
  type OwnerChoice,
  type OwnerNotice,
  type OwnerQuestion,
  PeerError,
  type PeerId,
  pickOwner,
} from '@modmesh/fill'
import { parseRecord } from '../control/answer-desk.ts'
import type { ControlHub } from '../control/control-hub.ts'
import { formatQuestion } from '../control/fetch-desk.ts'
import type { ControlTimes } from '../control/limits.ts'
import type { Reply } from '../control/message.ts'
import { QueryFailedError, SessionClosedError } from '../errors.ts'
import type { PeerScores } from '../peer-score.ts'

/** Who of our site asks upstream, and asking it. */
export class SiteOwner {
  readonly #self: PeerId
  readonly #hub: Pick<ControlHub, 'links' | 'link'>
  readonly #scores: Pick<PeerScores, 'isAvoided'>
  readonly #isSameSite: (peer: PeerId) => boolean
  readonly #times: ControlTimes

  constructor(
    components: {
      readonly hub: Pick<ControlHub, 'links' | 'link'>
      readonly scores: Pick<PeerScores, 'isAvoided'>
      readonly isSameSite: (peer: PeerId) => boolean
    },
    init: { readonly self: PeerId; readonly times: ControlTimes },
  ) {
    this.#hub = components.hub
    this.#scores = components.scores
    this.#isSameSite = components.isSameSite
    this.#self = init.self
    this.#times = init.times
  }

  /** The owner of a key among the live members of our site that can fetch, and us; undefined is ourselves. */
  owner(key: string, { isTrusted, reach }: OwnerChoice): PeerId | undefined {
    const maxQuietMs = this.#times.ownerQuietMs
    const candidates: PeerId[] = [this.#self]
    for (const link of this.#hub.links()) {
      const { peer } = link
      const isAble = reach === 'upstream' ? link.isFetcher(maxQuietMs) : link.isRelay(maxQuietMs)
      if (!isAble || !this.#isSameSite(peer)) continue
      if (isTrusted(peer) && !this.#scores.isAvoided(peer)) candidates.push(peer)
    }
    const owner = pickOwner(key, candidates)
    return owner === this.#self ? undefined : owner
  }

  /** Live members of our site that fetch for others. */
  members(): readonly PeerId[] {
    const maxQuietMs = this.#times.ownerQuietMs
    return this.#hub
      .links()
      .filter((link) => link.isFetcher(maxQuietMs) || link.isRelay(maxQuietMs))
      .map(({ peer }) => peer)
      .filter((peer) => this.#isSameSite(peer) && !this.#scores.isAvoided(peer))
  }

  /** Asks with one message. Throws PeerError when the owner went away, the signal's reason. */
  async ask(
    peer: PeerId,
    question: OwnerQuestion,
    options: { readonly signal: AbortSignal; readonly onNotice: (notice: OwnerNotice) => void },
  ): Promise<OwnerAnswer> {
    const link = this.#hub.link(peer)
    if (link === undefined) throw gone(peer)
    const onFetching = ({ bytes, moves }: OwnerNotice) => options.onNotice({ bytes, moves })
    const deadlineMs = this.#times.fetchMs
    try {
      const { signal } = options
      const ask = { signal, deadlineMs, onFetching }
      const answer = await link.session.ask<'fetch-query'>(formatQuestion(question), ask)
      return readAnswer(question, answer)
    } catch (error) {
      if (error instanceof SessionClosedError) throw gone(peer, error)
      if (!(error instanceof QueryFailedError)) throw error
      return { kind: 'refused', why: error.reason === 'busy' ? 'busy' : 'failed' }
    }
  }
}

function readAnswer(question: OwnerQuestion, answer: Reply<'fetch-query'>): OwnerAnswer {
  const { outcome, bytes, from = '', ageMs = 0 } = answer
  if (outcome === 'nothing') return { kind: 'nothing' }
  if (outcome !== 'found') return { kind: 'refused', why: outcome }
  if (bytes !== undefined) return { kind: 'bytes', bytes, from, ageMs }
  if (!('module' in question)) return { kind: 'refused', why: 'failed' }
  const { module } = question
  const record = parseRecord({ ...answer, holdsZip: answer.holdsZip ?? false })
  const empty = { info: undefined, mod: undefined, record: undefined, holdsZip: false }
  const { zip } = answer
  const found = { kind: 'record', record: { module, ...(record ?? empty) } } as const
  return zip === undefined ? found : { ...found, zip }
}

function gone(peer: PeerId, cause?: unknown): PeerError {
  return new PeerError(peer, 'went away', { cause, fault: 'unable' })
}

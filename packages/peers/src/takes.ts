import {
  type ByteSink,
  PeerError,
  type PeerId,
  type ZipBytes,
  type ZipFetchOptions,
  type ZipRange,
} from '@modmesh/fill'
import type { ModuleVersion, ZipHash } from '@modmesh/module'
import type { BodyClient } from './body/body-client.ts'
import { NotGivenError } from './body/not-given.ts'
import { contentKey } from './control/content-set.ts'
import type { ControlHub } from './control/control-hub.ts'
import type { Missing } from './find/missing.ts'
import type { PeerScores } from './peer-score.ts'
import type { SiteLinks } from './sites/site-links.ts'

/** What taking from members works with. */
export interface TakesComponents {
  readonly bodies: BodyClient
  readonly scores: PeerScores
  readonly siteLinks: SiteLinks
  readonly missing: Missing
  readonly hub: Pick<ControlHub, 'link'>
  readonly blame: (peer: PeerId, reason: string) => void
}

/** How one fetch is watched. */
interface Counted {
  readonly sink: ByteSink
  readonly signal: AbortSignal
  readonly onFirstByte: () => void
}

/** Takes zips from members: counted, scored, and as fast as the links between sites allow. */
export class Takes {
  readonly #parts: TakesComponents

  constructor(components: TakesComponents) {
    this.#parts = components
  }

  /** As the port's `fetchZip`. A hint that did not hold is dropped at once; a busy peer still has it. */
  async zip(
    peer: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    options: ZipFetchOptions,
  ): Promise<ZipBytes> {
    return await this.#scored(peer, sink, options, async ({ sink: target, ...told }) => {
      try {
        return await this.#parts.bodies.fetch(peer, zipHash, target, { ...options, ...told })
      } catch (error) {
        if (error instanceof PeerError) this.notGiven(peer, zipHash, error)
        throw error
      }
    })
  }

  /** As the port's `fetchRange`. Who has other bytes, or knows no parts, still has the zip. */
  async range(
    peer: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    range: ZipRange,
    options: Omit<ZipFetchOptions, 'resume'>,
  ): Promise<void> {
    await this.#scored(peer, sink, options, async ({ sink: target, ...told }) => {
      try {
        await this.#parts.bodies.fetchRange(peer, zipHash, target, range, told)
      } catch (error) {
        const isLie = error instanceof PeerError && error.fault === 'protocol'
        if (isLie) this.#parts.blame(peer, error.message)
        throw error
      }
    })
  }

  /** As the port's `fetchComing`. How well it came says more of upstream than of the peer. */
  async coming(
    peer: PeerId,
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    const { bodies, scores } = this.#parts
    const fetching = scores.fetching(peer)
    const counting: ByteSink = {
      async write(chunk) {
        fetching.moved(chunk.byteLength)
        await sink.write(chunk)
        fetching.wrote()
      },
    }
    try {
      await bodies.fetchComing(peer, module, counting, options)
    } finally {
      fetching.ended('none')
    }
  }

  /** Counts what comes and how; what ended because of us says nothing about the peer. */
  async #scored<T>(
    peer: PeerId,
    sink: ByteSink,
    options: Omit<ZipFetchOptions, 'resume'>,
    fetch: (counted: Counted) => Promise<T>,
  ): Promise<T> {
    const { scores, siteLinks } = this.#parts
    const closing = siteLinks.closing(peer)
    const signal =
      closing === undefined ? options.signal : AbortSignal.any([options.signal, closing])
    const taking = siteLinks.taking(peer)
    const fetching = scores.fetching(peer)
    const counting: ByteSink = {
      async write(chunk) {
        fetching.moved(chunk.byteLength)
        for (const piece of taking === undefined ? [chunk] : siteLinks.piecesFrom(peer, chunk)) {
          await taking?.take(piece.byteLength, { signal })
          await sink.write(piece)
        }
        fetching.wrote()
      },
    }
    const onFirstByte = () => {
      fetching.began()
      options.onFirstByte?.()
    }
    try {
      const result = await fetch({ sink: counting, signal, onFirstByte })
      fetching.ended('good')
      return result
    } catch (cause) {
      const isClosed = closing?.aborted === true && !options.signal.aborted
      const error = isClosed ? linkClosed(peer, cause) : cause
      fetching.ended(outcomeOf(error), troubleOf(error))
      throw error
    } finally {
      taking?.end()
    }
  }

  /** Drops a hint that did not hold at once; a busy peer still has it. */
  notGiven(peer: PeerId, zipHash: ZipHash, error: PeerError): void {
    const { hub, missing, blame } = this.#parts
    if (error.fault === 'protocol') blame(peer, error.message)
    if (error.fault === 'busy') return
    const status = error.cause instanceof NotGivenError ? error.cause.status : undefined
    if (status === 'absent') hub.link(peer)?.inventory.drop(contentKey(zipHash))
    // A link that went away says nothing of what its peer holds.
    if (hub.link(peer) !== undefined) missing.note(peer, zipHash)
  }
}

function linkClosed(peer: PeerId, cause: unknown): PeerError {
  return new PeerError(peer, 'its link was closed', { cause, fault: 'unable' })
}

/** What of the peer's was in the way; a polite no is none. */
function troubleOf(error: unknown): string | undefined {
  const isUnable = error instanceof PeerError && error.fault === 'unable'
  if (!isUnable || error.cause === undefined || error.cause instanceof NotGivenError)
    return undefined
  return error.message
}

function outcomeOf(error: unknown): 'bad' | 'busy' | 'none' {
  if (!(error instanceof PeerError)) return 'none'
  return error.fault === 'busy' ? 'busy' : 'bad'
}

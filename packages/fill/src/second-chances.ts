import { PeerError } from './errors.ts'
import type { KnownHolder } from './holder-list.ts'
import { goneLinkMs, maxFarReturns, minCutBytes } from './limits.ts'
import type { PeerId, Peers } from './peers.ts'
import { isBusy } from './zip-patience.ts'
import type { Progress } from './zip-progress.ts'

/** What came, and for how long nothing more did. */
export type Came = Pick<Progress, 'bytes' | 'whole'> & { readonly idleMs: number }

/** When a holder that failed is asked once more: at its next turn, or as soon as its link is back; undefined: never. */
export type SecondChance = 'in-turn' | 'when-back' | undefined

/** Which holders of one zip are asked again after they failed. */
export class SecondChances {
  readonly #peers: Pick<Peers, 'sites'>
  readonly #waitsForBusy: boolean
  /** Who was asked again after a cut: each once. */
  readonly #askedAgain = new Set<PeerId>()
  /** How often one of another site was waited for. */
  readonly #returns = new Map<PeerId, number>()

  /** `waitsForBusy`: nobody else may have it; who can ask the owner or upstream does so meanwhile. */
  constructor(
    components: { readonly peers: Pick<Peers, 'sites'> },
    init: { readonly waitsForBusy: boolean },
  ) {
    this.#peers = components.peers
    this.#waitsForBusy = init.waitsForBusy
  }

  /** Judges a failure, and counts what it allows. */
  of(holder: KnownHolder, came: Came, error: unknown): SecondChance {
    if (isBusy(error)) return this.#waitsForBusy ? 'in-turn' : undefined
    if (!(error instanceof PeerError) || error.fault !== 'unable') return undefined
    if (this.#isLinkGone(holder, came)) return 'when-back'
    return this.#mayGoOn(holder, came.bytes) ? 'in-turn' : undefined
  }

  /** Whether the link to another site went away under a body: that is no word about the holder. */
  #isLinkGone({ peer, far }: KnownHolder, { whole, idleMs }: Came): boolean {
    if (far === undefined) return false
    const returns = (this.#returns.get(peer) ?? 0) + 1
    this.#returns.set(peer, returns)
    if (returns > maxFarReturns) return false
    // What it was to go on from is worth as much as what it gave.
    if (whole > 0) return true
    const link = this.#peers.sites().find(({ site }) => site === far.site)
    // A link that swallows everything looks as if it were there.
    return link === undefined || Math.min(idleMs, link.silentMs ?? 0) >= goneLinkMs
  }

  /** Whether one that was cut is asked for the rest when it is its turn again. */
  #mayGoOn({ peer }: KnownHolder, bytes: number): boolean {
    if (bytes < minCutBytes || this.#askedAgain.has(peer)) return false
    this.#askedAgain.add(peer)
    return true
  }
}

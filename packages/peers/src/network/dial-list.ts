import type { PeerId } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'
import { DialNames } from './dial-names.ts'
import { type DialTarget, newTarget, type TargetOrigin } from './dial-target.ts'
import { maxLearnedPeers } from './limits.ts'
import type { NamePace } from './name-watch.ts'
import { parsePeerAddress, peerIdOf } from './peer-address.ts'
import { namedHostOf, type ResolveName } from './resolve-name.ts'
import { WakeableTimer } from './wakeable-timer.ts'

/** One address or member that is to be dialled. */
export interface DialEntry {
  /** The address, or the peer id of a member. */
  readonly key: string
  /** The name that led to the address; undefined when an address was given. */
  readonly name: string | undefined
  readonly target: DialTarget
  /** Its next turn. */
  readonly timer: WakeableTimer
  /** Ends the dial that is under way; undefined when none is. */
  dialling: AbortController | undefined
  /** There were connections enough when it was its turn. */
  isWaiting: boolean
}

/** What the list works with. */
export interface DialListComponents {
  readonly self: PeerId
  /** For tests: finds the addresses of names. */
  readonly resolve?: ResolveName | undefined
  /** Called when it is an entry's turn. */
  readonly attempt: (entry: DialEntry) => void
  /** Called when a name cannot be resolved. */
  readonly failed: (target: string, message: string) => void
}

/** Whom the node wants connections to: addresses that were given, those that names lead to now, members by their ids. */
export class DialList {
  readonly names: DialNames
  readonly #components: DialListComponents
  readonly #entries = new Map<string, DialEntry>()
  #state: 'new' | 'started' | 'stopped' = 'new'

  constructor(components: DialListComponents, init: { readonly namePace?: NamePace | undefined }) {
    const { resolve, failed } = components
    this.#components = components
    const changed = this.#follow.bind(this)
    this.names = new DialNames({ resolve, changed, failed }, { pace: init.namePace })
  }

  /** Gives everything in the list its turn. */
  start(): void {
    this.#state = 'started'
    this.names.start()
    for (const { timer } of this.all()) timer.wakeIn(0)
  }

  stop(): void {
    this.#state = 'stopped'
    for (const { timer } of this.all()) timer.stop()
    this.names.stop()
  }

  all(): readonly DialEntry[] {
    return [...this.#entries.values()]
  }

  /** The entries that lead to a peer, as far as we know. */
  of(peer: string): readonly DialEntry[] {
    return this.all().filter(({ target }) => target.peer === peer)
  }

  /** Whether an entry is still wanted. */
  has(entry: DialEntry): boolean {
    return this.#entries.get(entry.key) === entry
  }

  remove(entry: DialEntry): void {
    entry.timer.stop()
    this.#entries.delete(entry.key)
  }

  /** Adds an address as people write it. Throws InvalidPeerAddressError. */
  addAddress(text: string, origin: 'configured' | 'ticket'): void {
    const address = parsePeerAddress(text)
    const key = address.toString()
    const peer = peerIdOf(address)
    if (this.#entries.has(key) || peer === this.#components.self.toString()) return
    const name = namedHostOf(address)
    if (name !== undefined) this.names.add(text, name, origin)
    else this.#add(key, { origin, label: text, address, peer })
  }

  /** Adds a member; one seen on the LAN is dialled at once. */
  addPeer(peer: PeerId, origin: 'lan' | 'mesh'): void {
    const key = peer.toString()
    if (peer.equals(this.#components.self)) return
    const known = this.#entries.get(key)
    if (known !== undefined) {
      if (origin === 'lan') seenOnLan(known)
      return
    }
    if (this.#entries.size >= maxLearnedPeers) return
    this.#add(key, { origin, label: key, address: undefined, peer: key })
  }

  /** Dials what a name leads to now; what it does not lead to any more only stays connected. */
  #follow(name: string, addresses: readonly Multiaddr[], origin: TargetOrigin): void {
    if (this.#state === 'stopped') return
    const now = new Set(addresses.map(String))
    for (const entry of this.all()) {
      if (entry.name === name && !now.has(entry.key)) this.remove(entry)
    }
    for (const address of addresses) {
      const key = address.toString()
      const label = `${name} (${address.getComponents()[0]?.value})`
      if (this.#entries.has(key)) continue
      this.#add(key, { origin, label, address, peer: peerIdOf(address) }, name)
    }
  }

  #add(key: string, init: Parameters<typeof newTarget>[0], name?: string): void {
    const entry: DialEntry = {
      key,
      name,
      target: newTarget(init),
      timer: new WakeableTimer(() => this.#components.attempt(entry)),
      dialling: undefined,
      isWaiting: false,
    }
    this.#entries.set(key, entry)
    if (this.#state === 'started') entry.timer.wakeIn(0)
  }
}

// It answered just now, so the wait for a dead host is over.
function seenOnLan({ target, timer }: DialEntry): void {
  target.origin = 'lan'
  target.failures = Math.min(target.failures, 1)
  timer.wakeIn(0)
}

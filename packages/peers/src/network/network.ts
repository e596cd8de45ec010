import type { Libp2p } from '@libp2p/interface'
import type { KadDHT } from '@libp2p/kad-dht'
import type { CatchUp } from '../gate/catch-up.ts'
import type { Gate } from '../gate/gate.ts'
import type { Refusal } from '../gate/refusal.ts'
import type { Member } from '../membership/chain.ts'
import type { PipeDoor } from '../pipe/pipe-tls.ts'
import type { ExpiryWatch } from './expiry-watch.ts'
import type { HintDatastore } from './hint-datastore.ts'
import { peerIdOf, withoutLoopback } from './peer-address.ts'
import type { MeshServices } from './settings.ts'

/** A started libp2p node behind the gate. */
export interface Network extends AsyncDisposable {
  readonly libp2p: Libp2p<MeshServices>
  readonly peerId: string
  /** The DHT, or undefined on a node that runs without. */
  readonly dht: KadDHT | undefined
  /** Where pipes come in, on the port of libp2p. */
  readonly door: PipeDoor
  /** Multiaddrs with peer id that other hosts can use; loopback only when there is nothing else. */
  addresses(): string[]
  /** Returns what a peer proved at the gate, or undefined for one that never passed. */
  member(peerId: string): Member | undefined
  /** Takes what a connected peer proves from now on. */
  proved(member: Member): void
  /** A member has told us what it knows of the mesh: now others may come in. */
  heard(): void
  /** Ends the connections of a peer. */
  cut(peerId: string, reason: Error): void
  /** When we last announced a content to the DHT, also in an earlier run, wall clock. */
  announcedMs(multihash: Uint8Array): Promise<number | undefined>
  /** Calls the listener for each connection that did not pass the gate. Returns a function that stops it. */
  onRefusal(listener: (refusal: Refusal) => void): () => void
  /** Closes connections and listeners, then the hints. */
  stop(): Promise<void>
}

/** The parts of a running network. */
export interface NetworkParts {
  readonly libp2p: Libp2p<MeshServices>
  readonly gate: Gate
  readonly catchUp: CatchUp
  readonly hints: HintDatastore
  readonly watch: ExpiryWatch
  readonly refusals: Set<(refusal: Refusal) => void>
  readonly door: PipeDoor
}

/** Holds the parts of a running network and stops them in order. */
export class RunningNetwork implements Network {
  readonly #parts: NetworkParts
  #stopping: Promise<void> | undefined

  constructor(parts: NetworkParts) {
    this.#parts = parts
  }

  get libp2p(): Libp2p<MeshServices> {
    return this.#parts.libp2p
  }

  get peerId(): string {
    return this.libp2p.peerId.toString()
  }

  get dht(): KadDHT | undefined {
    return this.libp2p.services.dht
  }

  get door(): PipeDoor {
    return this.#parts.door
  }

  addresses(): string[] {
    return withoutLoopback(this.libp2p.getMultiaddrs()).map((address) => {
      const text = address.toString()
      return peerIdOf(address) === undefined ? `${text}/p2p/${this.peerId}` : text
    })
  }

  member(peerId: string): Member | undefined {
    return this.#parts.gate.member(peerId)
  }

  proved(member: Member): void {
    this.#parts.gate.prove(member.peerId, member)
  }

  heard(): void {
    this.#parts.catchUp.heard()
  }

  cut(peerId: string, reason: Error): void {
    for (const connection of this.libp2p.getConnections()) {
      if (connection.remotePeer.toString() === peerId) connection.abort(reason)
    }
  }

  announcedMs(multihash: Uint8Array): Promise<number | undefined> {
    return this.#parts.hints.announcedMs(multihash, this.peerId)
  }

  onRefusal(listener: (refusal: Refusal) => void): () => void {
    this.#parts.refusals.add(listener)
    return () => void this.#parts.refusals.delete(listener)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #stop(): Promise<void> {
    const { libp2p, hints, watch, catchUp } = this.#parts
    watch.stop()
    catchUp.heard()
    try {
      await libp2p.stop()
    } finally {
      await hints.close()
    }
  }
}

import type { Clock, ModuleFill, ModuleSource, PeerId, Upstream } from '@modmesh/fill'
import {
  type DirectReader,
  formatListenAddress,
  isLocalOnly,
  type ProxyServer,
  type S3RemoteStore,
  urlOfAddress,
} from '@modmesh/goproxy'
import type { MeshNode } from '@modmesh/peers'
import type { SumdbClient, VerifierKey } from '@modmesh/sumdb'
import type { GoRecords } from './adopt/go-records.ts'
import type { ChecksumDatabase } from './checksum-database.ts'
import { type GoEnv, goEnv, otherWays } from './client-env.ts'
import type { OutsideWays } from './doctor/gather-facts.ts'
import type { PeerHeads } from './heads.ts'
import type { PinnedSums } from './prefetch/pinned-sums.ts'
import type { Publishing } from './publishing.ts'

import type { SiteLimits } from './site-limits.ts'

import type { StartPlan } from './start-plan.ts'

export type Phase = 'starting' | 'ready' | 'stopping'

/** Trouble of the mesh that no later event takes back. */
interface MeshTroubles {
  /** The protocol versions of members that speak none of ours. */
  readonly oddVersions: Map<PeerId, readonly number[]>
  /** Why members cannot be found on the local network. */
  lanDiscovery: string | undefined
}

/** What a node is doing, and its parts as they come up: commands may ask while it starts. */
export class NodeState {
  phase: Phase = 'starting'
  mesh: MeshNode | undefined
  siteLimits: SiteLimits | undefined
  proxy: ProxyServer | undefined
  database: ChecksumDatabase | undefined
  remote: S3RemoteStore | undefined
  direct: DirectReader | undefined
  fill: ModuleFill | undefined
  /** What `go` kept of the checksum database in a module cache that was adopted. */
  goRecords: GoRecords | undefined
  peerHeads: PeerHeads | undefined
  publishing: Publishing | undefined
  /** What clients are answered from: the fill behind the policy. */
  source: ModuleSource | undefined
  /** What the fill takes for the checksum database. */
  sums: PinnedSums | undefined
  upstream: Pick<Upstream, 'isEnabled'> | undefined
  /** Whom the node asks outside. */
  ways: OutsideWays | undefined
  /** What the mesh told of trouble with others, for `doctor`. */
  readonly meshTroubles: MeshTroubles = { oddVersions: new Map(), lanDiscovery: undefined }
  /** Resolves when the first peer is connected. */
  readonly firstPeer: Promise<void>
  /** To be called when a peer is connected. */
  readonly hasPeer: () => void
  readonly startedAtMs: number
  readonly #plan: StartPlan
  readonly #clock: Clock
  readonly #startedMs: number

  constructor(plan: StartPlan, clock: Clock) {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.firstPeer = promise
    this.hasPeer = resolve
    this.#plan = plan
    this.#clock = clock
    this.startedAtMs = clock.wallMs()
    this.#startedMs = clock.monotonicMs()
  }

  /** The key of the checksum database; undefined when it is off. */
  get sumdbKey(): VerifierKey | undefined {
    const { sumdb } = this.#plan
    return sumdb.kind === 'off' ? undefined : sumdb.key
  }

  get client(): SumdbClient | undefined {
    return this.database?.client
  }

  /** What others call this node. */
  get name(): string {
    return this.#plan.settings.name
  }

  /** Milliseconds since the start. */
  get uptimeMs(): number {
    return this.#clock.monotonicMs() - this.#startedMs
  }

  /** The local URL without the path secret, or a socket as in `--listen`; undefined before it is bound. */
  get url(): string | undefined {
    const addresses = this.proxy?.addresses ?? []
    const ports = addresses.filter((address) => address.kind === 'tcp')
    const best = ports.find(isLocalOnly) ?? ports[0] ?? addresses[0]
    return best && urlOfAddress(best)
  }

  /** The ways to the node beside `goEnv`, for containers and other hosts. With the path secret. */
  get otherWays(): readonly string[] {
    return otherWays(this.#plan.settings, this.proxy?.addresses ?? [])
  }

  /** Warnings on addresses that others reach without a secret: `direct` fetches with the user's credentials. */
  openDoors(): readonly string[] {
    if (this.#plan.settings.pathSecret !== undefined) return []
    const open = (this.proxy?.addresses ?? []).filter((address) => !isLocalOnly(address))
    return open.map((address) => {
      const name = formatListenAddress(address)
      return `anybody who reaches ${name} can fetch through this node, private modules included: set --path-secret`
    })
  }

  /** What `go` on this host is to be told. Holds the path secret. */
  get goEnv(): GoEnv | undefined {
    return this.url === undefined ? undefined : goEnv(this.#plan.settings, this.url)
  }

  /** Why `go` cannot be answered now, or undefined when it can. */
  notReady(): string | undefined {
    switch (this.phase) {
      case 'starting':
        return 'starting'
      case 'ready':
        return undefined
      case 'stopping':
        return 'stopping'
    }
  }
}

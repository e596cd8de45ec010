import type { GoEnv } from '../client-env.ts'
import type { PeersReport } from '../peers-report.ts'
import type { RunningStatus } from '../status.ts'

/** What a look at one upstream gave. */
export interface UpstreamProbe {
  /** Without credentials. */
  readonly origin: string
  readonly answers: boolean
  /** Its clock less ours, milliseconds, within a second; null when it did not say. */
  readonly clockAheadMs: number | null
}

/** What a running node tells `doctor`. Absent is null. */
export interface NodeFacts {
  readonly status: RunningStatus
  readonly peers: PeersReport
  /** What `go` is to be told; null while starting. */
  readonly env: GoEnv | null
  /** As in GOPRIVATE. */
  readonly private: readonly string[]
  /** As in GOSUMDB. */
  readonly sumdb: string
  readonly offline: boolean
  readonly upstreams: readonly UpstreamProbe[]
  /** Why the checksum database cannot be asked; null when it can, or may not be. */
  readonly databaseTrouble: string | null
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number }
  /** Why the last answer could not be kept; null when it could. */
  readonly storeTrouble: string | null
  readonly mesh: {
    /** Why the others do not take this node for a member. */
    readonly refusal: string | null
    readonly refusers: { readonly count: number; readonly reason: string } | null
    readonly mdns: boolean
    /** Why multicast does not work. */
    readonly multicastTrouble: string | null
    /** Others listen to these only when they are no loopback addresses. */
    readonly listen: string
    /** Own addresses at which nobody answers. */
    readonly closedPorts: readonly { readonly address: string; readonly reason: string }[]
    /** Members that speak no protocol version of ours. */
    readonly oddVersions: readonly { readonly peer: string; readonly versions: readonly number[] }[]
  }
}

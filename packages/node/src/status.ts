import type { ChangedLine } from './changed-hashes.ts'
import type { SiteLine } from './sites-report.ts'
import type { CountByLevel, CountBySource, RemoteWrites, SiteCounts } from './traffic.ts'
import type { UploadLine } from './upload-line.ts'

/** Names the shape of the object; fields are only added within a number. */
export const statusSchema = 'modmesh.status/1'

/** What a store holds. */
export interface StoreStatus {
  readonly zips: number
  readonly zipBytes: number
  readonly mods: number
  /** What the zips may take, null for what the disk takes, and what pins keep of them; of a running node. */
  readonly budget?: {
    readonly maxBytes: number | null
    readonly pinnedZips: number
    readonly pinnedBytes: number
  }
}

/** A remote store, and what became of the objects this node had for it. */
export interface RemoteStatus {
  readonly url: string
  readonly access: 'read' | 'write'
  /** `down`: it failed several times and is left alone for a while. */
  readonly state: 'on' | 'down'
  /** Why the last read or write failed, null once one succeeded. */
  readonly readError: string | null
  readonly writeError: string | null
  readonly writes: RemoteWrites
}

/** One member of the mesh: connected, or blamed since the start. */
export interface PeerLine {
  readonly id: string
  readonly name: string
  readonly site: string
  readonly connected: boolean
  readonly connectedSince: string | null
  readonly rttMs: number | null
  /** Zips it says it can serve; null when it sends no inventory. */
  readonly holds: number | null
  /** Bytes of zips that it gave to us, and that we gave to it. */
  readonly receivedBytes: number
  readonly sentBytes: number
  /** What it did, and whether it is asked for nothing now. */
  readonly blamed: {
    readonly reason: string
    readonly count: number
    readonly at: string
    readonly avoided: boolean
  } | null
  /** How its last fetch failed: it is asked after the others for half a minute. Null when it did not. */
  readonly trouble: { readonly reason: string; readonly at: string } | null
  /** Why nothing can be asked of it: no protocol version is spoken by both. Null for most. */
  readonly incompatible: string | null
}

export interface RefusalLine {
  readonly at: string
  readonly source: 'peer' | 'remote' | 'upstream'
  /** Peer id, or null when it was none. */
  readonly peer: string | null
  readonly peerName: string | null
  readonly module: string
  readonly reason: string
}

/** A running node, as `status --json` and `/-/status` show it. Absent values are null, times ISO 8601. */
export interface RunningStatus {
  readonly schema: typeof statusSchema
  readonly running: true
  readonly version: string
  readonly pid: number
  readonly startedAt: string
  readonly uptimeSeconds: number
  readonly state: 'starting' | 'ready' | 'degraded' | 'stopping'
  /** Why it is not simply ready, and what else people should know. */
  readonly warnings: readonly string[]
  readonly dir: string
  readonly site: string
  readonly name: string
  /** Without the path secret; null until it is bound. */
  readonly proxy: { readonly url: string | null; readonly lastAnswerAt: string | null }
  readonly mesh: {
    readonly id: string | null
    readonly peerId: string | null
    readonly addresses: readonly string[]
    readonly peers: readonly PeerLine[]
    /** What this node gives; null before there is a mesh node. */
    readonly uploads: UploadLine | null
    /** Links to other sites. */
    readonly sites: readonly SiteLine[]
    /** Control messages sent since the start, by kind. */
    readonly messagesSent: Readonly<Record<string, number>>
  }
  readonly upstream: {
    readonly state: 'on' | 'off' | 'offline'
    /** Without credentials. */
    readonly list: string
    readonly lastAskedAt: string | null
    readonly lastOk: boolean | null
    readonly lastError: string | null
  }
  readonly checksumDatabase: {
    readonly name: string | null
    readonly treeSize: number | null
    /** It signed two trees that cannot be one log's: nothing new is trusted, also after a restart. */
    readonly forked: boolean
    /** Answers of it since the start that did not verify. */
    readonly refusedAnswers: number
  }
  /** The bucket of `--s3`; null without one. */
  readonly remote: RemoteStatus | null
  readonly store: StoreStatus
  readonly answers: {
    readonly sinceStart: CountBySource
    readonly lastHour: CountBySource
    /** Since the start. */
    readonly levels: CountByLevel
    readonly failed: number
  }
  /** Private modules: whether they are shared, what this node may do about it, and how many are vouched for. */
  readonly privateModules: {
    readonly shared: boolean
    readonly role: 'publisher' | 'private' | null
    /** Versions that a publisher signed, and who those are. */
    readonly published: number
    readonly publishers: readonly string[]
  }
  /** Since the start: what others of the site fetched for us, and we for them. */
  readonly siteFetches: SiteCounts
  readonly refused: { readonly total: number; readonly latest: readonly RefusalLine[] }
  /** What is refused until somebody accepts it, in order of the names; also after a restart. */
  readonly changed: readonly ChangedLine[]
}

/** What `status` can say without a node. */
export interface StoppedStatus {
  readonly schema: typeof statusSchema
  readonly running: false
  readonly dir: string
  readonly message: string
  /** Null when there is no store, or it cannot be read. */
  readonly store: StoreStatus | null
}

export type Status = RunningStatus | StoppedStatus

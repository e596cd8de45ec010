import type { Clock, PeerId } from '@modmesh/fill'
import type { BodyTimes } from './body/limits.ts'
import type { UploadLimits } from './body/upload-limits.ts'
import type { ControlTimes } from './control/limits.ts'
import type { MembershipStore } from './membership/membership-store.ts'
import type { NetworkEvent } from './network/network-event.ts'
import type { Blame, Trouble } from './peer-score.ts'
import type { HeadExchange, PeerShelf, PrivateShelf, SiteFetcher } from './peer-shelf.ts'
import type { SiteRules } from './sites/site-terms.ts'

/** What the mesh tells a log. Names in it come from members: already bounded, never from strangers. */
export type MeshEvent =
  | NetworkEvent
  | {
      readonly kind: 'peer-up'
      readonly peer: PeerId
      readonly name: string
      readonly site: string
    }
  | { readonly kind: 'peer-down'; readonly peer: PeerId }
  | { readonly kind: 'peer-blamed'; readonly peer: PeerId; readonly reason: string }
  /** A member whose hello names no protocol version of ours: it is not used. Told once. */
  | { readonly kind: 'peer-version'; readonly peer: PeerId; readonly versions: readonly number[] }
  /** An exception of ours that ended one answer or one step, and nothing else. */
  | { readonly kind: 'failed'; readonly error: unknown }

/** What a mesh node works with. */
export interface MeshComponents {
  readonly shelf: PeerShelf
  /** Private modules for members with the role; absent: they are neither given nor taken. */
  readonly privateShelf?: PrivateShelf | undefined
  /** Where the secret for their names is kept; absent: not over a restart. */
  readonly nameSecret?: MembershipStore | undefined
  /** Where the membership is kept. */
  readonly membership: MembershipStore
  /** Where revocations are kept; absent: not over a restart. */
  readonly ledger?: MembershipStore | undefined
  /** Where the members that were seen are kept; absent: not over a restart. */
  readonly roster?: MembershipStore | undefined
  /** Where bytes by site are kept; absent: not over a restart. */
  readonly siteBytes?: MembershipStore | undefined
  readonly heads: HeadExchange
  /** Asks upstream for members of our site; absent: we do not offer to. */
  readonly fetcher?: SiteFetcher | undefined
  readonly log?: ((event: MeshEvent) => void) | undefined
  /** The machine's clock when absent. */
  readonly clock?: Clock | undefined
}

/** What a mesh node is told. */
export interface MeshInit {
  /** Protobuf of an Ed25519 private key. */
  readonly privateKey: Uint8Array
  /** Folder of hints about peers and DHT records; may be lost. */
  readonly datastoreDir: string
  /** `host:port` or multiaddr; port 0 picks one. */
  readonly listen: string
  /** Addresses that are dialled for ever. */
  readonly peers: readonly string[]
  readonly mdns: boolean
  readonly site?: string | undefined
  readonly name?: string | undefined
  /** False: inventories are neither sent nor used. */
  readonly inventory: boolean
  /** `configured`: dial `peers` only, and providers that a fetch needs. */
  readonly connect: 'all' | 'configured'
  /** Peers that stay connected; lookups and fetches go beyond it for a moment. */
  readonly maxConnections?: number | undefined
  /** What this node gives to members at most; absent: no limit of bytes per second. */
  readonly uploads?: UploadLimits | undefined
  /** What may cross the links to other sites; absent: everything. */
  readonly siteRules?: SiteRules | undefined
  /** For tests of many nodes in one process: the DHT's message timeout, milliseconds. */
  readonly dhtTimeoutMs?: number | undefined
  /** For tests: how long a connection beyond that lasts at least, milliseconds. */
  readonly keepGraceMs?: number | undefined
  /** For tests: shorter times. */
  readonly times?: Partial<ControlTimes & BodyTimes> | undefined
}

/** What `status` and `peers` show of one peer. */
export interface PeerStatus {
  readonly peer: PeerId
  readonly name: string
  readonly site: string
  readonly isConnected: boolean
  /** Smoothed round trip. */
  readonly rttMs: number | undefined
  /** Wall clock, ms since 1970. */
  readonly connectedSinceMs: number | undefined
  /** Entries of its inventory, or undefined when it sends none. */
  readonly inventorySize: number | undefined
  readonly givenBytes: number
  readonly takenBytes: number
  readonly blamed: Blame | undefined
  readonly trouble: Trouble | undefined
  /** Set when it is not used because no protocol version is spoken by both. */
  readonly otherVersions:
    | { readonly theirs: readonly number[]; readonly ours: readonly number[] }
    | undefined
}

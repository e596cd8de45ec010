import type { ModulePath, ModuleVersion } from '@modmesh/module'
import type { HashChangedError } from './errors.ts'
import type { PeerId, Peers } from './peers.ts'
import type { RemotePart } from './remote-store.ts'
import type { UpstreamAnswer } from './upstream.ts'
import type { UpstreamReason } from './why-upstream.ts'
import type { ZipChanges } from './zip-progress.ts'

/** Where an answer came from. */
export type Source =
  /** Held here: on disk, unless it says that it was in memory. */
  | { readonly kind: 'store'; readonly level?: 'memory' }
  /** `owner`: it fetched it for the site, from upstream if nobody had it; `isFar`: it is of another site. */
  | {
      readonly kind: 'peer'
      readonly peer: PeerId
      readonly via?: 'owner'
      readonly isFar?: true
    }
  | { readonly kind: 'remote'; readonly from: string }
  | { readonly kind: 'upstream'; readonly from: string }
  /** Version control, through `go` and `git` of this host. */
  | { readonly kind: 'direct' }
  /** The union of what this node and its peers hold: no upstream could be asked. */
  | { readonly kind: 'held' }
  /** Upstream's own older answer: it is slow to renew it, failed to, cannot be asked, or was not to be. */
  | { readonly kind: 'stale'; readonly why: 'slow' | 'failed' | 'offline' | 'not-asked' }

/** The source of what the upstream port gave. */
export function sourceOf({ from, via }: Pick<UpstreamAnswer, 'from' | 'via'>): Source {
  return via === 'direct' ? { kind: 'direct' } : { kind: 'upstream', from }
}

/** The source of what a peer gave by itself. */
export function sourceOfPeer(peers: Pick<Peers, 'siteOf'>, peer: PeerId): Source {
  const isFar = peers.siteOf(peer) !== undefined
  return { kind: 'peer', peer, ...(isFar && { isFar }) }
}

/** What people call a source that sent something. */
export function nameOfSource(source: Source): string {
  return 'from' in source ? source.from : source.kind
}

export type FillKind = 'zip' | 'mod' | 'info' | 'list' | 'latest' | 'query'

/**
 * How a question to an owner ended. All but `answered` make us help ourselves: `nothing` because it may
 * be wrong, `silent` and `slow` because it did not come in time, `lied` because it does not verify.
 */
export type OwnerOutcome =
  | 'answered'
  | 'nothing'
  | 'busy'
  | 'declined'
  | 'failed'
  | 'gone'
  | 'silent'
  | 'slow'
  | 'lied'

/** Who was asked for the bytes of a zip. */
export type Asked =
  | { readonly kind: 'peer' | 'owner'; readonly peer: PeerId }
  | { readonly kind: 'remote' | 'upstream' }

/** What happened, for logs, status and `why`. */
export type FillEvent =
  | {
      readonly kind: 'answered'
      readonly what: FillKind
      readonly path: ModulePath
      readonly version: string | undefined
      readonly source: Source
      readonly bytes: number
      readonly tookMs: number
    }
  | {
      readonly kind: 'failed'
      readonly what: FillKind
      readonly path: ModulePath
      readonly version: string | undefined
      readonly error: Error
      /** That there is nothing was known from before: nobody was asked. */
      readonly isRemembered?: true
      readonly tookMs: number
    }
  /** Peers were asked what they know of a module version; these knew something. */
  | {
      readonly kind: 'peers-told'
      readonly module: ModuleVersion
      readonly answers: readonly { readonly peer: PeerId; readonly holdsZip: boolean }[]
      readonly tookMs: number
    }
  /** Somebody was asked for a zip and that ended; `unneeded`: another one was faster, or nobody waits. */
  | {
      readonly kind: 'zip-asked'
      readonly module: ModuleVersion
      readonly asked: Asked
      readonly outcome: 'gave' | 'failed' | 'unneeded'
      readonly error: Error | undefined
      readonly bytes: number
      /** Set when it was told in parts. */
      readonly changes?: ZipChanges | undefined
      readonly tookMs: number
    }
  /** Upstream is asked now. */
  | {
      readonly kind: 'upstream-chosen'
      readonly what: 'zip' | 'mod' | 'info'
      readonly module: ModuleVersion
      readonly why: UpstreamReason
    }
  /** A peer sent something that does not verify, or broke the protocol. */
  | {
      readonly kind: 'peer-blamed'
      readonly peer: PeerId
      readonly module: ModuleVersion
      readonly reason: string
    }
  /** Upstream sent something that does not verify. */
  | { readonly kind: 'upstream-refused'; readonly module: ModuleVersion; readonly reason: string }
  /** What publishers of the mesh say of a private version cannot be taken. */
  | { readonly kind: 'published-refused'; readonly module: ModuleVersion; readonly reason: string }
  /** A version that nobody can prove is not what it was when it was first seen. */
  | {
      readonly kind: 'hash-changed'
      readonly module: ModuleVersion
      readonly error: HashChangedError
    }
  /** The owner of a key was asked instead of upstream. */
  | {
      readonly kind: 'owner-asked'
      readonly owner: PeerId
      readonly what: FillKind | 'sums'
      readonly path: ModulePath
      readonly version: string | undefined
      readonly outcome: OwnerOutcome
      readonly tookMs: number
    }
  /** We were asked for our site. */
  | {
      readonly kind: 'site-answered'
      readonly peer: PeerId
      readonly what: FillKind | 'sums'
      readonly path: ModulePath
      readonly version: string | undefined
      readonly outcome: 'answered' | 'nothing' | 'declined' | 'failed'
      readonly tookMs: number
    }
  /** A remote store sent something that does not verify. */
  | { readonly kind: 'remote-refused'; readonly module: ModuleVersion; readonly reason: string }
  /** What became of an object that was to be written to a remote store; `dropped` when too many wait. */
  | {
      readonly kind: 'remote-write'
      readonly module: ModuleVersion
      readonly part: RemotePart
      readonly outcome: 'written' | 'exists' | 'failed' | 'dropped'
      readonly error: Error | undefined
    }
  /** A zip is durable and may be announced. */
  | {
      readonly kind: 'committed'
      readonly module: ModuleVersion
      readonly source: Source
      readonly bytes: number
    }
  /** Something verified could not be kept: it was answered all the same. */
  | { readonly kind: 'store-failed'; readonly module: ModuleVersion; readonly error: Error }

import type { ModuleVersion } from '@modmesh/module'

/** What somebody who runs the store should know. */
export type StoreEvent =
  /** A file was not what was written; it was moved aside and counts as absent. */
  | {
      readonly kind: 'quarantined'
      readonly path: string
      readonly module: ModuleVersion | undefined
      readonly reason: string
    }
  /** A record of the journal is damaged and counts as absent. */
  | { readonly kind: 'record-damaged'; readonly segment: string; readonly offset: number }
  /** The index was thrown away and made anew from the files. */
  | { readonly kind: 'index-rebuilt'; readonly reason: string }
  /** The index cannot be written; it is made anew when that works. */
  | { readonly kind: 'index-failed'; readonly error: Error }
  /** Something that is only tidying up went wrong. */
  | { readonly kind: 'tidy-failed'; readonly path: string; readonly error: Error }
  /** Somebody who wanted to be told of a commit or a removal threw. */
  | { readonly kind: 'listener-failed'; readonly error: Error }
  /** The longest unused zips were removed, to keep the store within its size. */
  | { readonly kind: 'evicted'; readonly zips: number; readonly bytes: number }
  /** The store is larger than its size, and what is left of it is pinned or in use. Bytes. */
  | {
      readonly kind: 'size-exceeded'
      readonly bytes: number
      readonly maxBytes: number
      readonly pinnedBytes: number
    }
  /** Nobody knows what was pinned: nothing is evicted until somebody pins again. */
  | { readonly kind: 'pins-lost'; readonly path: string }
  /** A zip that parsers could read differently was kept in its plain form. */
  | { readonly kind: 'rewritten'; readonly module: ModuleVersion; readonly reason: string }

export type ReportEvent = (event: StoreEvent) => void

import type { PeerId } from './peers.ts'

/** Whom a fill may ask for a zip, beside the members of our site that are known to hold it. */
export type Reach =
  /** Whoever may have it: the remote store, other sites, upstream. */
  | { readonly kind: 'anybody' }
  /** The peer that asks upstream for our site. */
  | { readonly kind: 'owner'; readonly owner: PeerId }
  /** Nobody: it was not asked for. */
  | { readonly kind: 'near' }

import type { PeerId } from './peers.ts'

/** Why the bytes of a module version are believed. */
export type Proof =
  /** A record of a checksum database, proven against a signed tree head. */
  | { readonly kind: 'checksum-db'; readonly database: string; readonly record: number }
  /** A go.sum that the user handed over. */
  | { readonly kind: 'go-sum' }
  /** A publisher of the mesh signed what it is: a private module, for members that may have those alone. */
  | { readonly kind: 'publisher'; readonly peer: PeerId; readonly name: string }
  /** Nobody but upstream says so: private modules, or the checksum database is off. Never shared with peers. */
  | { readonly kind: 'upstream' }

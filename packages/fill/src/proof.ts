/** Why the bytes of a module version are believed. */
export type Proof =
  /** A record of a checksum database, proven against a signed tree head. */
  | { readonly kind: 'checksum-db'; readonly database: string; readonly record: number }
  /** A go.sum that the user handed over. */
  | { readonly kind: 'go-sum' }
  /** Nobody but upstream says so: private modules, or the checksum database is off. Never shared with peers. */
  | { readonly kind: 'upstream' }

/** What can be wrong with a bundle as a whole, or with one thing in it. */
export type BundleFault =
  /** Not a bundle, or one of a later version. */
  | 'BUNDLE_FORMAT'
  /** It ends too early. */
  | 'BUNDLE_TRUNCATED'
  /** Bytes are not those that were signed. */
  | 'BUNDLE_ALTERED'
  /** Signed with a key that nobody here said to believe. */
  | 'BUNDLE_UNKNOWN_SIGNER'
  /** Older than one of the same signer that came in before. */
  | 'BUNDLE_REPLAYED'
  /** Made on top of an earlier bundle that is not here. */
  | 'BUNDLE_BASE_MISSING'
  /** Proven by a checksum database that is not the one in use. */
  | 'BUNDLE_OTHER_DATABASE'
  /** The checksum database does not say so, whoever signed it. */
  | 'BUNDLE_UNPROVEN'
  /** Its tree and ours cannot be of one log. */
  | 'BUNDLE_FORK'

/** A bundle, or something in it, that is refused; `code` is the name of the fault. */
export class BundleError extends Error {
  readonly code: BundleFault
  constructor(code: BundleFault, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'BundleError'
    this.code = code
  }
}

/** Something that was to go into a bundle is no longer what it was when its inventory was made. */
export class BundleSourceError extends Error {
  readonly code = 'BUNDLE_SOURCE'
  constructor(what: string, options?: ErrorOptions) {
    super(`${what} changed or went away while the bundle was written; export again`, options)
    this.name = 'BundleSourceError'
  }
}

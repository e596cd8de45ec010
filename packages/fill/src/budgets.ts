/** How long each step may take before the next one joins. All in milliseconds unless named otherwise. */
export interface Budgets {
  /** How long peers alone are asked, where no inventory names a holder, before upstream joins. */
  readonly headStartMs: number
  /** Peers' answers about a module version, where no inventory settles it: then treated as no. */
  readonly haveQueryMs: number
  /** How long a remote store may take to its first byte before upstream and the database join. */
  readonly remoteHeadStartMs: number
  /** DHT lookup, in parallel with upstream when upstream is up. */
  readonly dhtLookupMs: number
  /** First byte of a body from a peer: then the next source joins. */
  readonly firstByteMs: number
  /** As firstByteMs, in round trips; the longer of the two counts. */
  readonly firstByteRtts: number
  /** No progress in a body from a peer: then the next source. */
  readonly stallMs: number
  /** As stallMs, from a peer of another site: what is slow there is the link that all share. */
  readonly farStallMs: number
  /** How long upstream may take to its first byte, where it is quicker, before another site is asked. */
  readonly farHeadStartMs: number
  /** A zip larger than this may come from several holders, when one is slow. Bytes. */
  readonly splitMinBytes: number
  /** How long a body is watched before it is called slow. */
  readonly splitAfterMs: number
  /** How long peers may take in all when nobody else is left to ask. */
  readonly meshOnlyMs: number
  /** How long an owner may give no sign of life: then we help ourselves. It gives one every 500 ms. */
  readonly ownerSilenceMs: number
  /** How long an owner may work without a byte more: then we help ourselves. */
  readonly ownerStallMs: number
  /** The longest wait of one request for outside answers in all. */
  readonly fetchTimeoutMs: number
}

/**
 * Design, section 6. `headStartMs` is the most that a miss may cost for the mesh: a LAN answers in
 * some 2 ms; `remoteHeadStartMs` for a bucket: one in the region begins to answer in 20 to 100 ms;
 * `farStallMs`: 24 bodies in pieces of 256 KiB take turns of 3 s at 20 Mbit/s; `ownerSilenceMs` is three signs of life missed, with room for one that is late; `ownerStallMs` is
 * upstream's own budget: 5 s to connect and 60 s to the first byte.
 */
export const defaultBudgets: Budgets = {
  headStartMs: 20,
  haveQueryMs: 150,
  remoteHeadStartMs: 150,
  dhtLookupMs: 1_000,
  firstByteMs: 250,
  firstByteRtts: 4,
  stallMs: 2_000,
  farStallMs: 10_000,
  farHeadStartMs: 1_000,
  splitMinBytes: 16 << 20,
  splitAfterMs: 1_000,
  meshOnlyMs: 5_000,
  ownerSilenceMs: 2_200,
  ownerStallMs: 65_000,
  fetchTimeoutMs: 300_000,
}

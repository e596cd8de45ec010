/** Versions named by peers alone that one offline list verifies: the newest; a list is read by people. */
export const maxUnknownVersions = 64

/** Verifications at a time: each may ask every connected peer. */
export const maxParallelProofs = 8

/** Module records of one search that are looked at: a mesh of this many connected peers answers at once. */
export const maxRecordsPerSearch = 64

/** Versions of one path that are looked at of one peer: the longest real lists have some 3,000. */
export const maxVersionsPerPeer = 5_000

/** Peers whose version lists are read for one answer. */
export const maxVersionAnswers = 64

/** Mutable and negative answers kept in memory: `go get` probes some ten paths per module. */
export const maxRememberedAnswers = 10_000

/** An upstream list beyond this is no list: 4 MiB are some 300,000 versions. */
export const maxListBytes: number = 4 << 20

/** Bytes of lists, infos and the like kept in memory in all. */
export const maxRememberedBytes: number = 32 << 20

/** Peers that one fill fetches from at a time while an upstream can still join. */
export const maxHedgedPeers = 2

/** The same with nobody but peers left: a row of stalling peers must not cost a stall each. */
export const maxHedgedPeersAlone = 4

/** How long "nobody in the mesh has it" is believed: one burst of a `go` command, ms. */
export const meshNegativeTtlMs = 1_000

/** Less than this within `stallMs` is no progress: a peer that trickles bytes must not hold a request. */
export const minProgressBytes: number = 16 << 10

/** From then on a body must keep `slowBytesPerMs`, or others join; shorter ones are not worth judging, ms. */
export const slowAfterMs = 10_000

/** 64 kB/s: far below any link a site would share modules over, bytes per ms. */
export const slowBytesPerMs = 64

/** Holders whose round trips differ by less are equally good, ms. */
export const equalRttMs = 2

/** Searches in a row in which no peer knew anything, after which peers have no head start any more. */
export const fruitlessSearches = 8

/**
 * How long connected peers alone are asked before the DHT's providers are, ms: the design's longest
 * budget of a have-query (section 6). How long a late answer is still waited for is the asker's to say.
 */
export const providersAfterMs = 150

/** The background queue of DHT announcements. */
export const announceLimits = {
  /** Rest after each, as a multiple of the time it took: a quarter of a core (k = 5: 14 ms each). */
  restFactor: 3,
  /** Shortest rest, milliseconds: at most 50 a second even when announcing costs nothing. */
  restMs: 20,
  /** For one announcement, milliseconds: a hung peer in the table costs up to 1.5 s per query. */
  provideMs: 10_000,
  /** New contents wait until none came for so long, milliseconds: a running build has the core. */
  quietMs: 500,
  /** But no longer than this, milliseconds. */
  quietMaxMs: 60_000,
  /** Before the queue looks again for somebody to announce to, milliseconds. */
  aloneMs: 250,
  /** Longest rest after announcements that nobody took, milliseconds; it doubles from `aloneMs`: many who try at once are the trouble. */
  failedMs: 30_000,
  /** New announcements waiting: above, the oldest are left to the next round. */
  queued: 10_000,
  /** Names remembered as announced in this round; beyond, some are announced twice. */
  names: 100_000,
  /** Between two rounds over everything held, milliseconds: records live 48 h. */
  roundMs: 43_200_000,
} as const

/** What a blamed peer loses. */
export const blameLimits = {
  /** First time avoided, milliseconds; doubles with each further lie. */
  firstMs: 60_000,
  maxMs: 3_600_000,
  /** Reports about one lie that arrive together count once, milliseconds. */
  togetherMs: 1_000,
  /** A flooder or a speaker of garbage gets no control stream for so long, milliseconds. */
  cutMs: 30_000,
  /** A lie counts for so long when the next one is judged, milliseconds; each such time takes one away. */
  forgiveMs: 21_600_000,
  /** Characters of a reason that are kept. */
  reasonLength: 200,
  /** Outcomes of fetches that are remembered per peer. */
  outcomes: 20,
  /** Below this share of good outcomes a peer is asked last. */
  goodShare: 0.5,
  /** Peers remembered. */
  peers: 1_024,
} as const

/** What is measured of a peer's bodies. */
export const speedLimits = {
  /** First bytes that are remembered: nine of ten of so many are a number that can be believed. */
  firstBytes: 32,
  /** Fewer say nothing of what is usual. */
  enoughFirstBytes: 10,
  /** Bytes that say how fast a peer is: less comes out of buffers. */
  sampleBytes: 1_048_576,
  /** While a body comes it is measured so often, milliseconds. */
  sampleMs: 1_000,
  /** What the newest measure counts against those before. */
  newShare: 0.5,
  /** Older measures are not believed, milliseconds: then it is tried again. */
  freshMs: 600_000,
  /** Who stalled or was cut a moment ago is asked after the others, milliseconds: a restart takes less. */
  troubleMs: 30_000,
  /** A fetch that is given up after so long without a byte counts as stalled, milliseconds: just under what is waited. */
  stalledMs: 1_900,
  /** Peers within this factor are equally fast: load and chance decide. */
  equalFactor: 4,
  /** Who was busy a moment ago is asked after the others, milliseconds. */
  busyMs: 500,
} as const

/** Holders that just failed for one content. */
export const missingLimits = {
  /** Long enough for one fill to try the others, milliseconds. */
  forMs: 10_000,
  entries: 4_096,
} as const

/** Asking around the mesh. */
export const askLimits = {
  /** Peers asked at once: the first good answer stops the rest. */
  peersAtOnce: 16,
  /** Providers of a DHT key that are connected and asked. */
  providers: 8,
  /** Addresses taken of one provider. */
  addresses: 16,
  /** Versions taken from one answer. */
  versions: 10_000,
  /** What a peer said ahead counts so long, milliseconds: a project is fetched within it, or asks each time. */
  toldMs: 30_000,
} as const

/** Exceptions of ours that are told to the log. */
export const failureLimits = { perSecond: 0.5, burst: 20 } as const

/** How bytes to and from another site are paced. */
export const sitePacing = {
  /** What may go at once after a rest, milliseconds of the rate. */
  burstMs: 100,
  /** Pieces that wait for their turn, bytes: what an asker takes for progress. */
  pieceBytes: 16_384,
} as const

/** Links to other sites. */
export const siteLimits = {
  /** Sites that are told apart: more are no mesh that one node could know. */
  sites: 1_024,
  /** Between two writes of the byte counts, milliseconds. */
  saveMs: 10_000,
  /** Round trips of one test. */
  testTrips: 9,
  /** Between two looks whether the time of day changes what holds, milliseconds. */
  lookMs: 5_000,
  /** Before the others of our own site are asked what its owner may know, milliseconds: three round trips within these. */
  nextNearMs: 10,
  nextNearRtts: 3,
  maxNextNearMs: 150,
  /** Who owes an answer for so long is not asked first, milliseconds. */
  quietMs: 250,
  /** How long members of our own site alone are asked for a record, milliseconds: a LAN answers in some 2. */
  nearFirstMs: 30,
  /** After one of them knew something, milliseconds: enough to verify what it said. */
  nearKnewMs: 150,
  /** Before the next member of another site is asked the same, milliseconds, or three round trips. */
  nextFarMs: 150,
  nextFarRtts: 3,
} as const

/** What one control stream may cost. Tests read this table too. */
export const controlLimits = {
  /** One frame, bytes: an ordinary go.mod, its record and its proof fit; checked before anything is decoded. */
  frameBytes: 262_144,
  /** CBOR items in one frame, and so their nesting: lists travel as byte strings, honest frames have under 1,200. */
  frameItems: 2_048,
  /** Short words (sites, capabilities), UTF-16 units: a site is one DNS label. */
  wordLength: 64,
  /** Member names, UTF-16 units: host names go up to 253. */
  nameLength: 256,
  /** Protocol versions and capabilities in a hello: one today, room for ten years. */
  helloItems: 32,
  /** Inventory entries in one frame: 128 KiB, half a frame. */
  inventoryFrameEntries: 16_384,
  /** Inventory entries kept per peer: 200 times a large module cache; 16 MiB of memory at most. */
  inventoryEntries: 1_000_000,
  /** Keys of one have-query: a whole go.sum in two queries. */
  haveKeys: 512,
  /** A .info in an answer, bytes: real ones have a few hundred. */
  infoBytes: 16_384,
  /** A go.mod in an answer, bytes: the largest real ones have 100 KiB; larger ones come from upstream. */
  modBytes: 180_224,
  /** Record text, bytes: two go.sum lines. */
  recordBytes: 16_384,
  /** A signed note, bytes: a head with a handful of signatures. */
  noteBytes: 16_384,
  /** Hashes of an inclusion proof: a log of 2^63 records has 63. */
  proofHashes: 64,
  /** Versions of one path, bytes of text: 12 bytes each for 10,000 versions. */
  versionsBytes: 131_072,
  /** A tile of a checksum database, bytes: 256 hashes, or a data tile of 256 records. */
  tileBytes: 196_608,
  /** A tile path, UTF-16 units. */
  tilePathLength: 256,
  /** A module path or version, UTF-16 units: above every path that go accepts in practice. */
  moduleTextLength: 1_024,
  /** A checksum database's name, UTF-16 units. */
  databaseLength: 256,
  /** Members in one peers message: four times the members a node connects to by itself. */
  peersItems: 64,
  /** Addresses of one member in a peers message: a host with several networks and address families. */
  peerAddresses: 8,
  /** A multiaddr in text, UTF-16 units. */
  addressLength: 256,
  /** A list or latest answer of upstream, bytes: 10,000 versions; longer ones everybody asks for alone. */
  answerBytes: 180_224,
  /** A zip that comes with an answer, bytes: a stream of its own costs more than so many bytes. */
  zipBytes: 65_536,
  /** The name of an upstream, UTF-16 units: for display. */
  originLength: 256,
  /** Fetch queries on their way to one owner, which take long; further ones wait in line. */
  outstandingFetches: 64,
  /** Fetch queries of one peer that an owner works on: above what it may have on their way, else busy. */
  servedFetches: 96,
  /** Queries on their way to one peer; further ones wait in line. */
  outstandingQueries: 64,
  /** Queries of one peer being answered or waiting: above what it may have on their way, else busy. */
  servedQueries: 128,
  /** Queries of one peer answered at once: bounds answers in memory to 8 frames. */
  servedAtOnce: 8,
  /** Bytes waiting to be sent to a peer before answers wait, too. */
  outboxSoftBytes: 1_048_576,
  /** Bytes waiting to be sent to a peer that does not read: then its session ends. */
  outboxHardBytes: 4_194_304,
  /** Bytes received and not looked at yet: only who outruns the allowance fills it, and is cut off. */
  inboxBytes: 1_048_576,
  /** Received pieces not looked at yet: a piece costs some 200 bytes however short it is. */
  inboxPieces: 8_192,
} as const

/** How many things a peer may send per second before it is slowed down, and how many at once. */
export interface FloodLimits {
  /** Frames and pieces of the stream: four times what one core can answer. */
  readonly itemsPerSecond: number
  readonly itemsBurst: number
  /** Bytes: a full inventory of the largest size in one second. */
  readonly bytesPerSecond: number
  readonly bytesBurst: number
  /** Unasked words that make work (tree heads, addresses, requests for a re-sync). */
  readonly noticesPerSecond: number
  readonly noticesBurst: number
}

export const floodLimits: FloodLimits = {
  itemsPerSecond: 20_000,
  itemsBurst: 20_000,
  bytesPerSecond: 8_388_608,
  bytesBurst: 16_777_216,
  noticesPerSecond: 5,
  noticesBurst: 50,
}

/** Times of a control stream, milliseconds. Injectable, so that tests need not wait. */
export interface ControlTimes {
  /** Between two heartbeats. */
  readonly heartbeatMs: number
  /** Without a byte from the peer, or without one taken by it: then the session ends. */
  readonly silenceMs: number
  /** For the peer's hello. */
  readonly helloMs: number
  /** For an answer, when the caller sets no shorter time. */
  readonly answerMs: number
  /** Before changes of the inventory are sent together. */
  readonly inventoryDelayMs: number
  /** Between two frames of a full inventory: 4 MiB/s, half of what a peer accepts. */
  readonly inventoryPaceMs: number
  /** Before a lost control stream is opened again; doubles up to `reopenMaxMs`. */
  readonly reopenMs: number
  readonly reopenMaxMs: number
  /** Before the accepting side opens the control stream that the dialler did not open. */
  readonly reopenInboundMs: number
  /** Before a peer of other protocol versions is greeted again on the same connection: a new version comes with a restart, and so with a new connection. */
  readonly otherVersionMs: number
  /** For queries on a stream that was replaced by another one. */
  readonly retireMs: number
  /** Between two signs of life of an owner that works on a question (design section 6). */
  readonly fetchNoticeMs: number
  /** For the answer of an owner; how long it is worth waiting is the fill's to decide. */
  readonly fetchMs: number
  /** Without a byte from a peer that was asked something: no owner until it is heard again. */
  readonly ownerQuietMs: number
}

/** reference: heartbeat 15 s, closed after 60 s of silence. */
export const controlTimes: ControlTimes = {
  heartbeatMs: 15_000,
  silenceMs: 60_000,
  helloMs: 5_000,
  answerMs: 5_000,
  inventoryDelayMs: 20,
  inventoryPaceMs: 30,
  reopenMs: 200,
  reopenMaxMs: 10_000,
  reopenInboundMs: 3_000,
  otherVersionMs: 600_000,
  retireMs: 5_000,
  fetchNoticeMs: 500,
  fetchMs: 3_600_000,
  ownerQuietMs: 4_000,
}

/** What one body may cost. */
export const bodyLimits = {
  /** Request and header, bytes: both have under 200, but for long names. */
  headerBytes: 1_024,
  /** A module path or version in a request, UTF-16 units: longer ones are not streamed on their way. */
  nameLength: 400,
  /** One part of a zip that is on its way, bytes. */
  partBytes: 16_777_216,
  /** Between two questions for more of it, milliseconds: who has none answers late, or is to blame. */
  partRestMs: 50,
  /** Bytes per write: below 64 KiB encryption frames dominate, above 1 MiB nothing is gained. */
  chunkBytes: 262_144,
  /** Uploads to one peer at once: `go` asks for about ten zips at once. */
  uploadsPerPeer: 16,
  /** Uploads in all: each holds a file, a chunk and a stream window. */
  uploads: 128,
  /** Body streams of one connection: above uploadsPerPeer, so that too many get `busy` and no reset. */
  streams: 64,
  /** What a `busy` answer suggests to wait, milliseconds. */
  busyMs: 250,
  /** What we make of such a suggestion, milliseconds. */
  busyMinMs: 50,
  busyMaxMs: 500,
  /** How often a busy peer is asked in all: two seconds; the caller's budget ends it earlier. */
  busyTries: 8,
} as const

/** How uploads share a link whose bytes per second are limited. */
export const uploadPacing = {
  /** What a limited link may send at once after a rest, milliseconds of its rate: no longer than timers are late. */
  burstMs: 100,
  /** After which rest everything may be sent at once again, milliseconds: above `burstMs` and the time of a smallest piece. */
  refillMs: 1_000,
  /** Largest piece that waits for its turn, milliseconds of the rate: then 128 bodies all have one within half a second. */
  pieceMs: 4,
  /** Bounds of such a piece, bytes: what the asker takes for progress, and a chunk of the file. */
  pieceMinBytes: 16_384,
  pieceMaxBytes: 262_144,
  /** A body that got nothing for so long goes first, milliseconds: well within the asker's patience. */
  starvedMs: 500,
  /** Bytes per second that a body should get: a member gets no more slots than that leaves room for. */
  goodRate: 131_072,
  /** Bytes per second that each body gets at least: twice what the asker demands. */
  leastRate: 32_768,
  /** Of all slots, one in so many is kept for members that have none. */
  keptShare: 4,
  /** Over what time `status` measures, milliseconds. */
  measureMs: 5_000,
} as const

/** Times of a body, milliseconds. */
export interface BodyTimes {
  /** Without a byte from the sender while we are ready for one (design section 6). */
  readonly receiveStallMs: number
  /** Without a byte taken by the receiver: its disk may pause, and what it holds is one upload slot. */
  readonly sendStallMs: number
  /** For the receiver to take what is on its way after the last byte was sent, and to close. */
  readonly closeMs: number
  /** In line behind other fetches of the same peer: as long as for a busy one. */
  readonly lineMs: number
  /** To connect to a holder and open the stream. */
  readonly connectMs: number
}

export const bodyTimes: BodyTimes = {
  receiveStallMs: 2_000,
  sendStallMs: 10_000,
  closeMs: 30_000,
  lineMs: 2_000,
  connectMs: 3_000,
}

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
  /** Characters of a reason that are kept. */
  reasonLength: 200,
  /** Outcomes of fetches that are remembered per peer. */
  outcomes: 20,
  /** Below this share of good outcomes a peer is asked last. */
  goodShare: 0.5,
  /** Peers remembered. */
  peers: 1_024,
} as const

/** Peers of other protocol versions that are remembered as told to the log. */
export const otherVersionPeers = 1_024

/** Control streams that one peer may open: honest ones open one per connection. */
export const acceptLimits = {
  /** On one connection at once: the live one, and one that replaces it. */
  streams: 4,
  perSecond: 1,
  burst: 20,
} as const

/** Peers asked for one tile before giving up, and how long each is waited for, milliseconds. */
export const tileLimits = { peers: 4, waitMs: 1_000 } as const

/** A body slower than this after its first seconds is given up: threat model, drip-feeding. */
export const bodyRate = {
  /** Bytes per second. */
  minRate: 16_384,
  rateAfterMs: 10_000,
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
} as const

/** Members told to each other. */
export const gossipLimits = {
  /** Before news about members are told, milliseconds: a mesh that starts tells them together. */
  delayMs: 50,
  /** Members remembered of what one peer told; beyond, it is taken to know more than we can. */
  heard: 1_024,
} as const

/** Exceptions of ours that are told to the log. */
export const failureLimits = { perSecond: 0.5, burst: 20 } as const

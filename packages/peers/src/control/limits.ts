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
  /** A catalogue that was listed is kept for its next pages so long, milliseconds: a slow reader of a large one. */
  catalogueMs: 60_000,
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

/** Peers of other protocol versions that are remembered as told to the log. */
export const otherVersionPeers = 1_024

/** Control streams that one peer may open: honest ones open one per connection. */
export const acceptLimits = {
  /** On one connection at once: the live one, and one that replaces it. */
  streams: 4,
  perSecond: 1,
  burst: 20,
} as const

/** Asking peers for tiles of a checksum database. */
export const tileLimits = {
  /** Peers asked for one before giving up. */
  peers: 4,
  /** How long each is waited for, milliseconds. */
  waitMs: 1_000,
  /** Members that are to fetch one for the site, asked one after the other. */
  owners: 2,
  /** Who should have fetched one for the site and did not is not asked for a while, milliseconds. */
  restMs: 10_000,
  /** Of how many that is remembered. */
  resting: 256,
} as const

/** Members told to each other. */
export const gossipLimits = {
  /** Before news about members are told, milliseconds: a mesh that starts tells them together. */
  delayMs: 50,
  /** Members remembered of what one peer told; beyond, it is taken to know more than we can. */
  heard: 1_024,
} as const

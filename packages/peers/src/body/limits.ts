/** What one body may cost. */
export const bodyLimits = {
  /** Request and header, bytes: both have under 200, but for long names. */
  headerBytes: 1_024,
  /** A module path or version in a request, UTF-16 units: longer ones are not streamed on their way. */
  nameLength: 400,
  /** One part of a zip that is on its way, bytes. */
  partBytes: 16_777_216,
  /** A measurement of the link, bytes: below `partBytes`; 3 s at 20 Mbit/s. */
  probeBytes: 8_388_608,
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
  /** The same from another site: there the link is what is slow. */
  readonly farReceiveStallMs: number
  /** Without a byte more of what an owner still receives: upstream's own stall, and some tries of it. */
  readonly comingStallMs: number
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
  farReceiveStallMs: 10_000,
  comingStallMs: 30_000,
  sendStallMs: 10_000,
  closeMs: 30_000,
  lineMs: 2_000,
  connectMs: 3_000,
}

/** The same between sites: many bodies share a link that may be as slow as 64 kB/s. */
export const farBodyRate = { minRate: 1_024, rateAfterMs: 10_000 } as const

/** A body slower than this after its first seconds is given up: threat model, drip-feeding. */
export const bodyRate = {
  /** Bytes per second. */
  minRate: 16_384,
  rateAfterMs: 10_000,
} as const

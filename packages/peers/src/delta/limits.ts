/** What one transfer of changes may cost. Times in milliseconds. */
export const deltaLimits = {
  /** One message: three bases with sketches of 30,000 lines, or a list of all files of a zip. Bytes. */
  messageBytes: 1_048_576,
  /** Items of one message. */
  messageItems: 64,
  /** One frame of data. Smaller ones show sooner that something comes, larger ones cost less. Bytes. */
  dataBytes: 65_536,
  /** All data that answers one question: what a zip may have, and the heads of its files. Bytes. */
  bodyBytes: 629_145_600,
  /** A manifest as it travels. Bytes. */
  manifestBytes: 25_165_824,
  /** A zip that is sent as it is at once: larger ones go as bodies, from several members and over cuts. Bytes. */
  wholeBytes: 65_536,
  /** Bases and sketches named in one question. */
  bases: 4,
  /** One sketch. Bytes. */
  sketchBytes: 262_144,
  /** Streams of one connection, as for bodies. */
  streams: 64,
  /** Between two signs of life of a sender that works and has nothing to send yet. */
  workingMs: 400,
  /** Without any byte from the other side: many bodies share a slow link, each waits for its turn. */
  silenceMs: 10_000,
  /** How long a sender may work on without a byte of data: it gives to others, or hashes the largest module on a slow host. */
  longestWorkMs: 120_000,
  /** How long an asker may take between two questions: it unpacks a manifest, or waits for its disk. */
  betweenMs: 30_000,
  /** How long the first question may take to come. */
  firstMs: 5_000,
  /** Transfers of changes from one peer at a time: each has a decoder of up to 16 MiB. */
  atOnce: 8,
  /** Received bytes that wait for whoever takes them. */
  waitingBytes: 1_048_576,
} as const

/** What a link is believed to carry before it was measured: an office's, 20 Mbit/s. Bytes per second. */
export const assumedLinkRate = 2_500_000

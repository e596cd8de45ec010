/** What pipes may cost. */
export const pipeLimits = {
  /** The offer and its answer, bytes. */
  frameBytes: 256,
  /** Pipes that one member may have open to us, beside as many of ours to it: above the uploads it is given. */
  perPeer: 24,
  /** Sockets of the mesh port that have not sent a byte yet; further ones are libp2p's to refuse. */
  silent: 256,
  /** Pipes in the middle of their handshake. */
  shaking: 64,
  /** Received bytes that wait for a slow sink above which the socket is paused. */
  unreadBytes: 1_048_576,
  /** Received bytes are gathered in blocks of so many, and go to the sink together: one write for many. */
  blockBytes: 262_144,
  /** What the system gives at once: TLS opens 16 KiB at a time. */
  readBytes: 65_536,
} as const

/** Times of pipes, milliseconds. */
export const pipeTimes = {
  /** For the first byte of an inbound connection: as long as libp2p gives an upgrade. */
  firstByteMs: 5_000,
  /** For the whole of opening one; nobody waits so long for it. */
  openMs: 5_000,
  /** What a body waits for a new pipe before it goes over a stream: five round trips of a LAN, and some work. */
  waitMs: 50,
  /** Unused pipes are closed: `go` asks for the next zip at once. */
  idleMs: 15_000,
  /** Unused pipes of an asker that does not close them. */
  holdMs: 120_000,
  /** After a pipe could not be opened its peer is asked by streams only. */
  restMs: 60_000,
} as const

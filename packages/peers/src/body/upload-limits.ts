import { bodyLimits, uploadPacing } from './limits.ts'

/** What some uploads may take. */
export interface UploadCaps {
  /** Bytes per second in all; undefined for no limit. */
  readonly rate?: number | undefined
  /** Bytes per second to one member; undefined for no limit. */
  readonly peerRate?: number | undefined
  /** Bodies at once in all. */
  readonly streams?: number | undefined
  /** Bodies at once to one member. */
  readonly peerStreams?: number | undefined
}

/** What uploads may take: all of them, and of these those to members of other sites. */
export interface UploadLimits {
  readonly all?: UploadCaps | undefined
  readonly wan?: UploadCaps | undefined
}

/** Limits as they hold, defaults and what a rate leaves room for included. */
export interface LimitsInForce {
  /** Undefined for no limit. */
  readonly rate: number | undefined
  readonly peerRate: number | undefined
  readonly streams: number
  readonly peerStreams: number
}

/** Uploads that go on, of all members or of one. */
export interface UploadCount {
  readonly streams: number
  /** Members that have at least one. */
  readonly peers: number
}

/**
 * Whether caps leave room for one more body to a member that has `ofPeer`. Nobody's share gets smaller
 * than what an asker waits for, and some slots are kept for members that have none yet.
 */
export function hasRoom(caps: UploadCaps, running: UploadCount, ofPeer: number): boolean {
  const streams = streamsOf(caps)
  if (running.streams >= streams) return false
  if (ofPeer === 0) return true
  const kept = Math.floor(streams / uploadPacing.keptShare)
  return running.streams < streams - kept && ofPeer < peerStreamsOf(caps, running.peers)
}

/** What holds where all of these caps do. */
export function inForce(caps: readonly UploadCaps[]): LimitsInForce {
  return {
    rate: least(caps.map(({ rate }) => rate)),
    peerRate: least(caps.map(({ peerRate }) => peerRate)),
    streams: Math.min(...caps.map(streamsOf)),
    peerStreams: Math.min(...caps.map((of) => peerStreamsOf(of, 1))),
  }
}

function least(rates: readonly (number | undefined)[]): number | undefined {
  const set = rates.filter((rate) => rate !== undefined)
  return set.length === 0 ? undefined : Math.min(...set)
}

function streamsOf({ streams, rate }: UploadCaps): number {
  return Math.min(streams ?? bodyLimits.uploads, slotsOf(rate, uploadPacing.leastRate))
}

function peerStreamsOf({ peerStreams, peerRate, rate }: UploadCaps, peers: number): number {
  const { goodRate } = uploadPacing
  return Math.min(
    peerStreams ?? bodyLimits.uploadsPerPeer,
    slotsOf(peerRate, goodRate),
    slotsOf(rate === undefined ? undefined : rate / peers, goodRate),
  )
}

/** How many bodies of `each` bytes per second a rate carries; one at least. */
function slotsOf(rate: number | undefined, each: number): number {
  return rate === undefined ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(rate / each))
}

/** Largest piece that waits for its turn on a link with these limits, bytes. */
export function pieceBytes(rates: readonly number[]): number {
  const { pieceMs, pieceMinBytes, pieceMaxBytes } = uploadPacing
  const least = Math.min(...rates, Number.MAX_SAFE_INTEGER)
  const piece = Math.floor((least * pieceMs) / 1_000)
  return Math.min(pieceMaxBytes, Math.max(pieceMinBytes, piece))
}

/** The rates that hold for a member. */
export function ratesOf(caps: readonly UploadCaps[]): number[] {
  return caps.flatMap(({ rate, peerRate }) => [rate, peerRate]).filter((rate) => rate !== undefined)
}

import type { Attempt, RaceView } from '../../src/zip-race.ts'

/** A race with a known hash that nobody was asked in yet, and that knows nobody but upstream. */
export const freshRace: RaceView = {
  nowMs: 1000,
  startedMs: 1000,
  expected: 'known',
  recordsDone: true,
  owner: 'none',
  remote: 'none',
  upstream: 'ready',
  candidates: 0,
  holderSearch: 'done',
  holderSearchMs: 1000,
  firstPeer: undefined,
  attempts: [],
}

/** A peer that was asked at the start of the race. */
export const peerAttempt: Attempt = {
  kind: 'peer',
  startedMs: 1000,
  windowMs: 250,
  hasFirstByte: false,
  bytes: 0,
}

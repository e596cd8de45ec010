import type { Multiaddr } from '@multiformats/multiaddr'
import * as limits from './limits.ts'

/** How we came to know a target, most wanted first; `ticket`: an address in the ticket that we joined with. */
export type TargetOrigin = 'configured' | 'lan' | 'ticket' | 'mesh'

/** Waits of the dial loop, milliseconds; a test may shorten them. */
export interface DialPace {
  readonly firstMs: number
  readonly maxMs: number
  readonly idleMs: number
  readonly steadyMs: number
}

/** The waits of a running node. */
export const dialPace: DialPace = {
  firstMs: limits.firstRedialMs,
  maxMs: limits.maxRedialMs,
  idleMs: limits.maxIdleRedialMs,
  steadyMs: limits.steadyConnectionMs,
}

/** What the dial loop knows of one address or member that it wants a connection to. */
export interface DialTarget {
  origin: TargetOrigin
  /** What people call it: the address as configured, or the peer id. */
  readonly label: string
  /** Undefined for a learned member: libp2p knows its addresses by its id. */
  readonly address: Multiaddr | undefined
  /** Peer id that was asked for or that answered last. */
  peer: string | undefined
  everConnected: boolean
  /** Failures since the last steady connection. */
  failures: number
  /** Whether the last dial led back to ourselves. */
  isSelf: boolean
  lastError: string | undefined
  connectedAtMs: number | undefined
}

/** An address or member that the node wants a connection to, and how that stands. */
export interface PeerTarget {
  readonly target: string
  readonly origin: TargetOrigin
  readonly peer: string | undefined
  readonly connected: boolean
  readonly failures: number
  readonly lastError: string | undefined
  /** Not dialled now: there are connections enough. */
  readonly isWaiting: boolean
}

/** Says how a target stands. */
export function statusOf(
  { label, origin, peer, failures, lastError }: DialTarget,
  { connected, isWaiting }: Pick<PeerTarget, 'connected' | 'isWaiting'>,
): PeerTarget {
  return {
    target: label,
    origin,
    peer,
    connected,
    failures: connected ? 0 : failures,
    lastError,
    isWaiting: !connected && isWaiting,
  }
}

/** Makes a target that was never dialled. */
export function newTarget(
  init: Pick<DialTarget, 'origin' | 'label' | 'address' | 'peer'>,
): DialTarget {
  return {
    ...init,
    everConnected: false,
    failures: 0,
    isSelf: false,
    lastError: undefined,
    connectedAtMs: undefined,
  }
}

/**
 * Returns the wait before the next dial, milliseconds: none after a steady connection, then
 * doubling up to 15 s, with jitter so that a mesh does not dial in step.
 */
export function redialDelayMs(target: DialTarget, pace: DialPace, random: number): number {
  if (target.failures === 0) return 0
  const isIdle = target.isSelf || (target.origin === 'mesh' && isLongGone(target))
  if (isIdle) return jittered(pace.idleMs, random)
  const doublings = Math.min(target.failures - 1, 30)
  return jittered(Math.min(pace.firstMs * 2 ** doublings, pace.maxMs), random)
}

/** Tells whether a learned peer can be forgotten: told by someone, never reached. */
export function isForgettable(target: DialTarget): boolean {
  const tried = target.failures >= limits.failuresUntilForgotten || target.isSelf
  const isGiven = target.origin === 'configured' || target.origin === 'ticket'
  return !isGiven && !target.everConnected && tried
}

function isLongGone(target: DialTarget): boolean {
  return target.failures >= limits.failuresUntilIdle
}

// Between half and all of the wait: never above the promised ceiling.
function jittered(ms: number, random: number): number {
  return ms * (0.5 + random / 2)
}

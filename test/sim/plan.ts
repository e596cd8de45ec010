import { type Budgets, defaultBudgets } from '@modmesh/fill'
import type { Rng } from './rng.ts'

/** How a node treats others. It serves its own clients honestly, whatever it does to peers. */
export type Role = 'honest' | 'liar' | 'staller'

/** What one seed draws before anything runs. */
export interface Plan {
  readonly roles: readonly Role[]
  readonly budgets: Budgets
  readonly ttlMs: number
  readonly negativeTtlMs: number
  /** Probability that a message between nodes is lost. */
  readonly loss: number
  readonly latencyMs: number
  /** Probability that a node does not see another one when it looks for an owner. */
  readonly overlooked: number
  readonly partitions: number
  readonly crashes: number
  /** Probability that one step of the disk fails. */
  readonly diskFaults: number
  readonly upstreamFaults: number
  readonly dbFaults: number
  /** Whether each node has an upstream at all. */
  readonly online: readonly boolean[]
  /** The site of each node. */
  readonly sites: readonly number[]
  readonly requests: number
  readonly cancels: number
  /** Faults and requests happen before, quiet comes after, ms. */
  readonly activeMs: number
}

export function drawPlan(rng: Rng): Plan {
  const nodes = rng.pick([1, 2, 3, 3, 3, 4, 5, 6])
  const roles = Array.from(
    { length: nodes },
    (): Role => (rng.chance(0.7) ? 'honest' : rng.pick(['liar', 'staller'])),
  )
  return {
    roles,
    budgets: drawBudgets(rng),
    ttlMs: rng.pick([0, 500, 60_000]),
    negativeTtlMs: rng.pick([0, 300, 10_000]),
    loss: rng.pick([0, 0, 0.05, 0.3]),
    latencyMs: rng.pick([1, 5, 40, 120]),
    overlooked: rng.pick([0, 0, 0.1, 0.5]),
    partitions: rng.between(0, 3),
    crashes: rng.between(0, 4),
    diskFaults: rng.pick([0, 0, 0, 0.02]),
    upstreamFaults: rng.between(0, 5),
    dbFaults: rng.between(0, 4),
    online: roles.map(() => rng.chance(0.75)),
    requests: rng.between(8, 30),
    cancels: rng.pick([0, 0.1, 0.3]),
    activeMs: 12_000,
    sites: drawSites(rng, nodes),
  }
}

/** In some worlds there are two. */
function drawSites(rng: Rng, nodes: number): readonly number[] {
  const isOne = rng.chance(0.4)
  return Array.from({ length: nodes }, () => (isOne ? 0 : rng.pick([0, 1])))
}

/** Now and then a budget is absurd: rare ways become common ones. */
function drawBudgets(rng: Rng): Budgets {
  const budgets = { ...defaultBudgets, fetchTimeoutMs: 30_000 }
  if (rng.chance(0.2)) budgets.headStartMs = 0
  if (rng.chance(0.2)) budgets.firstByteMs = 1
  if (rng.chance(0.2)) budgets.stallMs = 50
  if (rng.chance(0.2)) budgets.meshOnlyMs = 20
  if (rng.chance(0.1)) budgets.ownerStallMs = 1_000
  // Zips of this world have 64 bytes.
  if (rng.chance(0.8)) budgets.splitMinBytes = rng.pick([16, 16, 63, 64])
  if (rng.chance(0.8)) budgets.splitAfterMs = rng.pick([1, 50])
  if (rng.chance(0.2)) budgets.fetchTimeoutMs = rng.pick([10, 300, 4_000])
  return budgets
}

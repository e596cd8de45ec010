import { setTimeout as sleep } from 'node:timers/promises'
import type { FilledFile } from '@modmesh/fill'
import type { DiskStore } from '@modmesh/store'
import type { PrefetchTally } from './prefetch-tally.ts'

/** How long the disk may go on with what was answered already: a commit of a large zip on a slow one. Milliseconds. */
const keepMs = 30_000
/** Between looks. Milliseconds. */
const lookMs = 20

/**
 * Waits until all that was filled is on disk: an answer may come before. What is not kept, for want of space or
 * because the store is to be smaller, counts as missing.
 */
export async function whenKept(
  { store }: { readonly store: Pick<DiskStore, 'findZip' | 'findRecord'> },
  tally: PrefetchTally,
  { signal }: { readonly signal: AbortSignal },
): Promise<void> {
  const endMs = performance.now() + keepMs
  let waiting = await notKept(store, tally.filled)
  while (waiting.length > 0 && performance.now() < endMs) {
    await sleep(lookMs, undefined, { signal })
    waiting = await notKept(store, waiting)
  }
  for (const filled of waiting) tally.onLost(filled, new NotKeptError())
}

async function notKept(
  store: Pick<DiskStore, 'findZip' | 'findRecord'>,
  filled: readonly FilledFile[],
): Promise<readonly FilledFile[]> {
  const found = await Promise.all(filled.map(({ file }) => isKept(store, file)))
  return filled.filter((_, i) => found[i] === false)
}

async function isKept(
  store: Pick<DiskStore, 'findZip' | 'findRecord'>,
  { what, module }: FilledFile['file'],
): Promise<boolean> {
  if (what === 'zip') return (await store.findZip(module)) !== undefined
  return (await store.findRecord(module))?.[what] !== undefined
}

/** It came and verified, and is not there any more. */
class NotKeptError extends Error {
  readonly code = 'NOT_KEPT'
  constructor() {
    super('fetched and not kept: is the disk full, or --max-size too small for all of it?')
    this.name = 'NotKeptError'
  }
}

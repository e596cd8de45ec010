import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Buffers that may have become garbage before they are collected, bytes. */
const maxGarbage = 32 << 20
/** Between looks at that: 30 MB come in meanwhile over a 10 Gbit/s line and a busy disk. Milliseconds. */
const lookMs = 100

/** Makes V8 collect by what is live: else each 64 MB of buffers that pass through cost a whole collection. */
export function relaxCollections(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit')
}

/**
 * Collects young garbage when buffers have piled up: V8 counts objects, and to it a buffer of 64 KiB is a small one. A
 * download of 300 MB else costs 130 MB of memory. Takes 1 ms each time.
 */
export function boundGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void
  setFlagsFromString('--no-expose-gc')
  let floor = Infinity
  const timer = setInterval(() => {
    const bytes = getHeapStatistics().external_memory
    if (bytes - floor <= maxGarbage) floor = Math.min(floor, bytes)
    else {
      collect({ type: 'minor' })
      // Collected in the background: the next look sees what is left.
      floor = Infinity
    }
  }, lookMs)
  timer.unref()
}

/** Hides the arguments of this process from other users of the machine: a flag may hold a secret or a password. */
export function hideArguments(): void {
  process.title = 'modmesh start'
}

/**
 * Keeps compiled code in the data directory, which halves the time of the next start; call it before
 * what is large is loaded. The directory must be checked: whoever writes there decides what runs.
 */
export function cacheCode(dataDir: string): void {
  const dir = join(dataDir, 'cache', 'code')
  enableCompileCache(dir)
  // Worker threads take it from here.
  process.env.NODE_COMPILE_CACHE = dir
}

import { access } from 'node:fs/promises'
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Buffers that may have become garbage before they are collected, bytes. */
const maxGarbage = 32 << 20
/** Between looks at that: 30 MB come in meanwhile over a 10 Gbit/s line and a busy disk. Milliseconds. */
const garbageLookMs = 100

/** Makes V8 collect by what is live: else each 64 MB of buffers that pass through cost a whole collection. */
export function relaxCollections(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit')
}

/** Between looks at whether the process is idle. Milliseconds. */
const idleLookMs = 5_000
/** Of one processor, within that time: answering a few requests takes less. */
const idleLoad = 0.05
/** Work after which there is something to give back: half a second of one processor. Milliseconds. */
const worthMs = 500

/** How V8 is told to collect. */
interface CollectOptions {
  readonly type: 'minor' | 'major'
  readonly execution?: 'sync'
  readonly flavor?: 'last-resort'
}

/**
 * Collects young garbage when buffers have piled up: V8 counts objects, and to it a buffer of 64 KiB is a small one. A
 * download of 300 MB else costs 130 MB of memory. Takes 1 ms each time.
 */
export function boundGarbage(): void {
  const collect = collector()
  let floor = Infinity
  const timer = setInterval(() => {
    const bytes = getHeapStatistics().external_memory
    if (bytes - floor <= maxGarbage) floor = Math.min(floor, bytes)
    else {
      collect({ type: 'minor' })
      // Collected in the background: the next look sees what is left.
      floor = Infinity
    }
  }, garbageLookMs)
  timer.unref()
}

/**
 * Gives memory back to the system when there was work and nobody asks any more, the start included: V8 by itself keeps the
 * pages it once had. A pause of some 50 ms, while idle.
 */
export function shrinkWhenIdle({ lookMs = idleLookMs }: { readonly lookMs?: number } = {}): void {
  const collect = collector()
  let workMs = 0
  let last = process.cpuUsage()
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage(last)
    last = process.cpuUsage()
    const busyMs = (user + system) / 1_000
    workMs += busyMs
    if (busyMs > idleLoad * lookMs || workMs < worthMs) return
    workMs = 0
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  }, lookMs)
  timer.unref()
}

/** V8's collector, without leaving its name where other code sees it. */
function collector(): (options: CollectOptions) => void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as (options: CollectOptions) => void
  setFlagsFromString('--no-expose-gc')
  return collect
}

/** Hides the arguments of this process from other users of the machine: a flag may hold a secret or a password. */
export function hideArguments(command: string): void {
  process.title = `modmesh ${command}`
}

/** Whether an earlier start kept code in a data directory. */
export async function hasCachedCode(dataDir: string): Promise<boolean> {
  return await access(codeFolder(dataDir)).then(
    () => true,
    () => false, // whatever is wrong with it: cacheCode's caller finds out
  )
}

/**
 * Keeps compiled code in the data directory, which halves the time of the next start; call it before
 * what is large is loaded. The directory must be checked: whoever writes there decides what runs.
 */
export function cacheCode(dataDir: string): void {
  const dir = codeFolder(dataDir)
  enableCompileCache(dir)
  // Worker threads take it from here.
  process.env.NODE_COMPILE_CACHE = dir
}

function codeFolder(dataDir: string): string {
  return join(dataDir, 'cache', 'code')
}

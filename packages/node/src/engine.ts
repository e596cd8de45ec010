import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'

/** Makes V8 collect by what is live: else each 64 MB of buffers that pass through cost a whole collection. */
export function relaxCollections(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit')
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

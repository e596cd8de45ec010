/** Another process works on this directory. */
export class StoreLockedError extends Error {
  readonly code = 'STORE_LOCKED'
  readonly dir: string
  /** The other process, when it left its id. */
  readonly pid: number | undefined
  constructor(dir: string, pid: number | undefined, options?: ErrorOptions) {
    const who = pid === undefined ? 'another process' : `process ${pid}`
    super(`${dir} is in use by ${who}`, options)
    this.name = 'StoreLockedError'
    this.dir = dir
    this.pid = pid
  }
}

/** A path that we must not, or cannot, use. */
export class StoreAccessError extends Error {
  readonly code = 'STORE_ACCESS'
  readonly path: string
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`${path}: ${reason}`, options)
    this.name = 'StoreAccessError'
    this.path = path
  }
}

/** The disk refused a write. What was being written is gone; what was held before is untouched. */
export class StoreWriteError extends Error {
  readonly code = 'STORE_WRITE'
  /** The system's word, e.g. `ENOSPC` or `EIO`. */
  readonly errno: string | undefined
  constructor(what: string, cause: unknown) {
    const errno = errnoOf(cause)
    super(`cannot write ${what}${errno === undefined ? '' : ` (${errno})`}`, { cause })
    this.name = 'StoreWriteError'
    this.errno = errno
  }
}

/** A file on disk is no longer what was written. It is never served; it counts as absent from now on. */
export class StoreDamagedError extends Error {
  readonly code = 'STORE_DAMAGED'
  readonly path: string
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`${path}: ${reason}`, options)
    this.name = 'StoreDamagedError'
    this.path = path
  }
}

/** The system error code of an exception, e.g. `ENOENT`. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** What was thrown, as an Error. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}

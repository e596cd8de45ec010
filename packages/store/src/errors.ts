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
  /** Without a message it says the path and the reason. */
  constructor(path: string, reason: string, options: ErrorOptions & { message?: string } = {}) {
    super(options.message ?? `${path}: ${reason}`, options)
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
    super(`cannot write ${what}${errno === undefined ? '' : whyOf(errno)}`, { cause })
    this.name = 'StoreWriteError'
    this.errno = errno
  }
}

/** What the system's word means, and what helps: short enough for one line of what `go` shows. */
const writeHelp: ReadonlyMap<string, string> = new Map([
  ['ENOSPC', 'the disk is full; free space or set --max-size'],
  ['EDQUOT', 'the quota is used up; raise it or set --max-size'],
  ['EFBIG', 'files so large are not allowed; see ulimit -f'],
  ['EROFS', 'read-only file system; mount it for writing'],
  ['EACCES', 'no permission; chown it to the user of the node'],
  ['EPERM', 'no permission; chown it to the user of the node'],
  ['ENOENT', 'the folder is gone; is its disk mounted?'],
  ['EIO', 'the disk reports an error; see the system log'],
  ['EMFILE', 'too many open files; raise ulimit -n'],
])

function whyOf(errno: string): string {
  const help = writeHelp.get(errno)
  return help === undefined ? ` (${errno})` : `: ${help} (${errno})`
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

/** A text that names nothing to pin. */
export class InvalidPinError extends Error {
  readonly code = 'INVALID_PIN'
  constructor(text: string, options?: ErrorOptions) {
    super(`${text}: not a PATH@VERSION, nor a PATH or glob as in GOPRIVATE`, options)
    this.name = 'InvalidPinError'
  }
}

/** What the system's word means for a folder that cannot be written; undefined when we have no advice. */
export function helpFor(error: unknown): string | undefined {
  const errno = errnoOf(error)
  const help = errno === undefined ? undefined : writeHelp.get(errno)
  return help === undefined ? undefined : `${help} (${errno})`
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

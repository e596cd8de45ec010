import { errnoOf, StoreAccessError } from './errors.ts'

/** Our own lack of something: others use as much as there is, and it passes. */
const shortages: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'])
/** The way to the file is barred: whoever bars it can open it again. */
const barred: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'ESTALE', 'ENOTCONN', 'ELOOP'])

/** Throws when what a read of a zip failed with says nothing about the file itself: then it must not be condemned. */
export function throwIfOurs(error: unknown, path: string): void {
  const errno = errnoOf(error) ?? ''
  if (shortages.has(errno)) throw error
  if (!barred.has(errno)) return
  // Without the path: a digest would leave no room for the advice in what `go` shows.
  const message = `cannot read a zip: no access; chown it to the user of the node (${errno})`
  throw new StoreAccessError(path, errno, { cause: error, message })
}

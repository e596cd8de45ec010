import { InvalidFileError } from '@modmesh/module'

/** Joins paths with slashes and resolves `.` and `..`; an absolute one replaces what was before it. */
export function joinPath(...parts: readonly string[]): string {
  const joined = parts.reduce((path, part) => (part.startsWith('/') ? part : `${path}/${part}`))
  const isAbsolute = joined.startsWith('/')
  const names: string[] = []
  for (const name of joined.split('/')) {
    if (name === '' || name === '.') continue
    if (name !== '..') names.push(name)
    else if (names.length > 0 && names.at(-1) !== '..') names.pop()
    else if (!isAbsolute) names.push(name)
  }
  return `${isAbsolute ? '/' : ''}${names.join('/')}`
}

/** The folder of a file; `.` for a bare name. */
export function parentOf(path: string): string {
  const end = path.lastIndexOf('/')
  return end < 0 ? '.' : path.slice(0, Math.max(end, 1))
}

/** Lets an InvalidFileError name the file as the user knows it. */
export function named<T>(path: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof InvalidFileError)) throw cause
    throw Object.assign(new InvalidFileError(path, cause.reason, cause.line), { cause })
  }
}

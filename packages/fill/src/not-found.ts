import { parsePathAtVersion } from '@modmesh/module'
import { ModuleNotFoundError } from './errors.ts'

/** The answer when there is nobody to ask. */
export function notHere(what: string, cause?: unknown): ModuleNotFoundError {
  const options = cause === undefined ? {} : { cause }
  return new ModuleNotFoundError(
    `${what}: not held here, and nobody else to ask\n${bundleHint(what)}`,
    {
      ...options,
      wasAsked: false,
    },
  )
}

/** What somebody at a disconnected site is to ask for; of a list, `@latest` or a branch only the path is known. */
function bundleHint(what: string): string {
  const wanted = isVersion(what) ? what : `${what.split('@', 1)[0]}@VERSION`
  return `at a site without a link: add it to the bundle (modmesh export ${wanted}, or --for its go.sum)`
}

function isVersion(what: string): boolean {
  try {
    parsePathAtVersion(what)
    return true
  } catch {
    return false // a list, @latest or a branch
  }
}

/** The answer when the store has nothing and nobody may be asked (`cachedOnly`). */
export function notInStore(what: string): ModuleNotFoundError {
  return new ModuleNotFoundError(`${what}: not in the store, and nobody else may be asked`)
}

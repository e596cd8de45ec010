import { ModuleNotFoundError } from './errors.ts'

/** The answer when there is nobody to ask. */
export function notHere(what: string, cause?: unknown): ModuleNotFoundError {
  const options = cause === undefined ? {} : { cause }
  return new ModuleNotFoundError(`${what}: not held here, and nobody else to ask`, {
    ...options,
    wasAsked: false,
  })
}

/** The answer when the store has nothing and nobody may be asked (`cachedOnly`). */
export function notInStore(what: string): ModuleNotFoundError {
  return new ModuleNotFoundError(`${what}: not in the store, and nobody else may be asked`)
}

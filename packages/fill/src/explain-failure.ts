import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import {
  asError,
  HashChangedError,
  ModuleNotFoundError,
  NoProofError,
  OfflineError,
  PublishersDisagreeError,
  UpstreamRefusedError,
  UpstreamUnavailableError,
} from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { MissingSumError } from './needed-sum.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import { notHere } from './not-found.ts'
import { AllFailedError } from './race.ts'
import { hasDbCode } from './resolve-sums.ts'
import { StoreFailure } from './store-failure.ts'

/**
 * Picks the one error that a client is told from all that went wrong. 404 is for "nobody has it"
 * only: whoever could not be asked makes it a 5xx (design, section 7).
 */
export function explainFailure(ctx: FillContext, module: ModuleVersion, failure: unknown): Error {
  const errors = flatten(failure)
  const find = (matches: (error: Error) => boolean) => errors.find(matches)
  const stored = find((error) => error instanceof StoreFailure)
  if (stored !== undefined) return asError(stored.cause)
  const said =
    find((error) => error instanceof HashChangedError) ??
    find((error) => error instanceof PublishersDisagreeError) ??
    find((error) => error instanceof UpstreamRefusedError) ??
    find((error) => error instanceof ModuleNotFoundError) ??
    find((error) => error instanceof UpstreamUnavailableError)
  if (said !== undefined) return said
  const name = formatModuleVersion(module)
  const unknown = find((error) => hasDbCode(error, 'SUMDB_NOT_FOUND'))
  if (unknown !== undefined) {
    const message = `${name}: the checksum database does not know it; is it private?`
    return new ModuleNotFoundError(message, { cause: unknown })
  }
  const offline = errors.every((error) => isNobody(error) || isDbTrouble(error))
  if (offline && !ctx.canAskUpstream(module.path)) return notHere(name, errors[0])
  const cause = errors.find(isDbTrouble)
  if (cause !== undefined) return new NoProofError(module, { cause })
  return undelivered(name, errors)
}

/** The errors inside of what a race failed with. */
function flatten(failure: unknown): Error[] {
  if (failure instanceof AllFailedError) return failure.errors.flatMap(flatten)
  return [asError(failure)]
}

function isNobody(error: Error): boolean {
  return error instanceof NobodyHasItError || error instanceof OfflineError
}

/** No record was verified: the database is unreachable, or what was sent does not verify. */
function isDbTrouble(error: Error): boolean {
  return (
    hasDbCode(error, 'SUMDB_UNAVAILABLE') ||
    hasDbCode(error, 'SUMDB_UNTRUSTED') ||
    hasDbCode(error, 'SUMDB_FORK') ||
    error instanceof MissingSumError
  )
}

/** Somebody said that they have it, and nobody could deliver it. */
function undelivered(name: string, errors: readonly Error[]): Error {
  const [last] = errors.slice(-1)
  return new UpstreamUnavailableError(`${name}: nobody could deliver it: ${last?.message}`, {
    cause: last,
  })
}

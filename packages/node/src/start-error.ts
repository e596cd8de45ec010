import {
  InvalidCaFileError,
  InvalidEnvProxyError,
  InvalidS3UrlError,
  ListenError,
  NoS3CredentialsError,
} from '@modmesh/goproxy'
import { StoreAccessError, StoreDamagedError, StoreLockedError } from '@modmesh/store'
import { CommandError, errorCode, errorText } from './errors.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { badOption, type ReadOptions } from './read-options.ts'

/**
 * Turns what a part could not do at the start into one line that names the option or the file, and
 * what to do. An error that nobody foresaw is returned as it is.
 */
export function explainStartError(error: unknown, read: ReadOptions): Error {
  const { dir } = read.settings
  const cause = { cause: error }
  if (error instanceof StoreLockedError) {
    const who = error.pid === undefined ? 'another process' : `another node (process ${error.pid})`
    const hint = `see: modmesh status --dir ${dir}`
    return fail(`${dir} is in use by ${who}; ${hint}`, exitCodes.storeHeld, cause)
  }
  if (error instanceof ListenError) return listenError(error)
  if (error instanceof InvalidCaFileError) return badOption(read, 'caFile', error.message, cause)
  if (error instanceof InvalidEnvProxyError) return fail(error.message, exitCodes.wrongUsage, cause)
  if (error instanceof NoS3CredentialsError || error instanceof InvalidS3UrlError) {
    return badOption(read, 's3', error.message, cause)
  }
  if (error instanceof StoreAccessError || error instanceof StoreDamagedError) {
    return fail(error.message, exitCodes.failed, cause)
  }
  return peerError(error, read) ?? (error instanceof Error ? error : new Error(errorText(error)))
}

function listenError(error: ListenError): CommandError {
  const hint = 'choose another with --listen, such as --listen 127.0.0.1:0 for any free port'
  return fail(`${firstLine(error.message)}; ${hint}`, exitCodes.failed, { cause: error })
}

/** Errors of the mesh, known by code: this file is loaded by tests that have no mesh. */
function peerError(error: unknown, read: ReadOptions): CommandError | undefined {
  const text = firstLine(errorText(error))
  const cause = { cause: error }
  switch (errorCode(error)) {
    case 'PEER_LISTEN':
      return fail(`${text}; choose another with --mesh-listen`, exitCodes.failed, cause)
    case 'INVALID_PEER_ADDRESS':
      return fail(text, exitCodes.wrongUsage, cause)
    case 'INVALID_TICKET':
    case 'OTHER_MESH':
      return badOption(read, 'join', text, cause)
    case 'MEMBERSHIP_STATE':
    case 'PEER_DATASTORE_LOCKED':
    case 'NOT_ALLOWED':
      return fail(text, exitCodes.failed, cause)
    default:
      return undefined
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}

function fail(message: string, exitCode: ExitCode, options: ErrorOptions): CommandError {
  return new CommandError(message, { ...options, exitCode })
}

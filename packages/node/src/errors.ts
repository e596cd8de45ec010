import { type ExitCode, exitCodes } from './exit-codes.ts'

/** Ends a command with one line on stderr and an exit code: the text is for people and says what to do. */
export class CommandError extends Error {
  readonly code = 'COMMAND'
  readonly exitCode: ExitCode
  constructor(message: string, options: ErrorOptions & { readonly exitCode: ExitCode }) {
    super(message, options)
    this.name = 'CommandError'
    this.exitCode = options.exitCode
  }
}

/** A flag, variable or configuration key that cannot be used. */
export class UsageError extends CommandError {
  constructor(message: string, options: ErrorOptions = {}) {
    super(message, { ...options, exitCode: exitCodes.wrongUsage })
    this.name = 'UsageError'
  }
}

/** No node answers on the control socket of a data directory. */
export class NodeNotRunningError extends CommandError {
  constructor(dir: string, options: ErrorOptions = {}) {
    super(`no node is running on ${dir}; start one with: modmesh start --dir ${dir}`, {
      ...options,
      exitCode: exitCodes.notRunning,
    })
    this.name = 'NodeNotRunningError'
  }
}

/** Finds the `code` of a thrown value, as Node's system errors and our own carry it. */
export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** The text of a thrown value. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

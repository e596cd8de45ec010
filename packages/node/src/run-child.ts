import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { GoEnv } from './client-env.ts'
import { errorCode } from './errors.ts'

type Env = Readonly<Record<string, string | undefined>>

/** As shells say it: the program is not there, or cannot be run. */
const notFound = 127
const notRunnable = 126

/** Signals that end a command, or tell it something. */
const forwarded = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'] as const

/** A terminal sends these to all of its foreground processes: the command has them already. */
const fromTerminal = new Set<NodeJS.Signals>(['SIGINT', 'SIGQUIT'])

/**
 * The environment of a command that uses a node: its own, GOPROXY set. Who keeps modules from the checksum
 * database, or names another one, still does.
 */
export function childEnv(own: Env, { GOPROXY, GONOSUMDB, GOSUMDB }: GoEnv): Env {
  const { MODMESH_JOIN: _, ...env } = own
  const unchecked = own.GONOSUMDB || own.GOPRIVATE
  return {
    ...env,
    GOPROXY,
    ...(GONOSUMDB && { GONOSUMDB: unchecked ? `${unchecked},${GONOSUMDB}` : GONOSUMDB }),
    ...(GOSUMDB && !own.GOSUMDB && { GOSUMDB }),
  }
}

/**
 * Runs a command on our own terminal and passes signals on to it. Returns its exit status as a shell has it: 128 and
 * the number of the signal that ended it, 127 when there is no such program.
 */
export async function runChild(
  [program = '', ...args]: readonly string[],
  env: Env,
): Promise<number> {
  let child: ChildProcess | undefined
  const isTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  const pass = (signal: NodeJS.Signals): void => {
    if (!isTerminal || !fromTerminal.has(signal)) child?.kill(signal)
  }
  const cut = (): void => void child?.kill()
  // Before the command runs: a signal may come while it is being started, and would end us alone.
  for (const signal of forwarded) process.on(signal, pass)
  // Should we end first, for whatever reason, it must not go on without its proxy.
  process.once('exit', cut)
  try {
    const started = spawn(program, args, { stdio: 'inherit', env })
    child = started
    return await new Promise((resolve, reject) => {
      started.once('error', reject)
      started.once('close', (code, signal) => {
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))
      })
    })
  } catch (error) {
    process.stderr.write(`modmesh: ${program}: ${spawnTrouble(error)}\n`)
    return errorCode(error) === 'ENOENT' ? notFound : notRunnable
  } finally {
    for (const signal of forwarded) process.off(signal, pass)
    process.off('exit', cut)
  }
}

function spawnTrouble(error: unknown): string {
  switch (errorCode(error)) {
    case 'ENOENT':
      return 'there is no such program'
    case 'EACCES':
      return 'it cannot be run'
    default:
      return error instanceof Error ? error.message : String(error)
  }
}

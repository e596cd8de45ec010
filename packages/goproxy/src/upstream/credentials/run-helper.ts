import { type ChildProcess, spawn } from 'node:child_process'
import { helperMs, maxHelperBytes } from '../../limits.ts'

/** A program to run. */
interface HelperCall {
  readonly argv: readonly [string, ...string[]]
  readonly cwd?: string
  readonly stdin: string
}

/** A program that gave no credentials. The text names the program and never its arguments or output. */
export class HelperError extends Error {
  readonly code = 'CREDENTIAL_HELPER'
}

/** Runs a credential helper. Throws HelperError when it cannot run, fails, takes too long or says too much. */
export type RunHelper = (call: HelperCall) => Promise<string>

/**
 * Runs helpers in sessions of their own, so that nothing asks at a terminal, and without our settings, which hold
 * secrets. `signal` ends those that run.
 */
export function helperRunner(
  env: Readonly<Record<string, string | undefined>>,
  options: { readonly signal: AbortSignal },
): RunHelper {
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('MODMESH_'))
  const childEnv = { GIT_TERMINAL_PROMPT: '0', ...Object.fromEntries(kept) }
  return (call) => runHelper(call, childEnv, options.signal)
}

async function runHelper(
  call: HelperCall,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string> {
  const [program, ...args] = call.argv
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const fail = (reason: string): void => reject(new HelperError(`${program} ${reason}`))
  const child = spawn(program, args, {
    cwd: call.cwd,
    env,
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  })
  const end = (reason: string): void => {
    fail(reason)
    killGroup(child)
  }
  const timer = setTimeout(end, helperMs, `took more than ${helperMs / 1_000} s`)
  const onAbort = (): void => end('was ended with this node')
  signal.addEventListener('abort', onAbort, { once: true })
  const chunks: Buffer[] = []
  let size = 0
  child.stdout.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxHelperBytes) end('printed too much')
  })
  child.on('error', (error: NodeJS.ErrnoException) => fail(`cannot be run (${error.code})`))
  child.on('close', (code, killedBy) => {
    if (code === 0) resolve(Buffer.concat(chunks).toString('utf8'))
    else fail(killedBy === null ? `failed with exit code ${code}` : `was ended by ${killedBy}`)
  })
  // One that does not read its input closes the pipe, which is its right.
  child.stdin.on('error', () => {})
  child.stdin.end(call.stdin)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

/** A helper's own children hold the pipes, too. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    const isGone = error instanceof Error && 'code' in error && error.code === 'ESRCH'
    if (!isGone) throw error
  }
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { killGraceMs, maxErrorBytes, maxOutputBytes, pipeGraceMs } from './limits.ts'
import type { Watchdog } from './watchdog.ts'

/** How a child ended by itself. */
export interface ChildResult {
  /** Undefined when a signal ended it. */
  readonly exitCode: number | undefined
  readonly stdout: string
  /** The last maxErrorBytes of it. */
  readonly stderr: string
}

export interface ChildInit {
  readonly cwd: string
  /** Ends the child when this process is killed. */
  readonly watchdog: Watchdog
  /** From being asked to end until being killed; killGraceMs if not given. Milliseconds. */
  readonly graceMs?: number
  /** All of its environment. */
  readonly env: Readonly<Record<string, string>>
}

/** A child wrote more than maxOutputBytes. */
class ChildOutputError extends Error {
  readonly code = 'CHILD_OUTPUT'
  constructor(command: string) {
    super(`${command} wrote more than ${maxOutputBytes} bytes`)
    this.name = 'ChildOutputError'
  }
}

/**
 * Runs a command to its end, without input and without a terminal. An abort ends it with all its children, git and
 * ssh included: they share a process group. Throws the signal's reason, ChildOutputError, or why it cannot be started.
 */
export async function runChild(
  command: string,
  args: readonly string[],
  init: ChildInit,
  { signal }: { readonly signal: AbortSignal },
): Promise<ChildResult> {
  signal.throwIfAborted()
  const { cwd, env, watchdog, graceMs = killGraceMs } = init
  const child = spawn(command, args, {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const group = new ChildGroup(child, graceMs)
  const tooMuch = (): void => group.end(new ChildOutputError(command))
  const stdout = collect(child.stdout, maxOutputBytes, tooMuch)
  const stderr = collectTail(child.stderr, maxErrorBytes)
  const onAbort = (): void => group.end(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const unwatch = child.pid === undefined ? undefined : watchdog.watch(child.pid)
  try {
    const exitCode = await group.ended()
    return { exitCode, stdout: stdout(), stderr: stderr() }
  } finally {
    signal.removeEventListener('abort', onAbort)
    unwatch?.()
  }
}

/** A child and all that it started. */
class ChildGroup {
  readonly #child: ChildProcess
  readonly #graceMs: number
  readonly #exit: Promise<unknown>
  #kill: NodeJS.Timeout | undefined
  #reason: { readonly error: unknown } | undefined

  constructor(child: ChildProcess, graceMs: number) {
    this.#child = child
    this.#graceMs = graceMs
    this.#exit = once(child, 'exit')
    // Waited for below; a child that cannot be started rejects at once.
    this.#exit.catch(() => {})
  }

  /** Ends the group; `ended` rejects with this once it is gone. */
  end(error: unknown): void {
    if (this.#reason !== undefined) return
    this.#reason = { error }
    this.#signal('SIGTERM')
    this.#kill = setTimeout(() => this.#signal('SIGKILL'), this.#graceMs)
  }

  async ended(): Promise<number | undefined> {
    try {
      await this.#exit
      await this.#drained()
    } finally {
      clearTimeout(this.#kill)
      // Whoever outlived its parent has nobody left to work for.
      this.#signal('SIGKILL')
    }
    if (this.#reason !== undefined) throw this.#reason.error
    return this.#child.exitCode ?? undefined
  }

  /** A grandchild in a session of its own may keep the pipes open for ever. */
  async #drained(): Promise<void> {
    const { stdout, stderr } = this.#child
    const pipes = [stdout, stderr].filter((pipe) => pipe?.closed === false)
    const cut = setTimeout(() => {
      for (const pipe of pipes) pipe?.destroy()
    }, pipeGraceMs)
    await Promise.all(pipes.flatMap((pipe) => (pipe ? [once(pipe, 'close')] : [])))
    clearTimeout(cut)
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      // Nobody is left; or, on macOS, only zombies are.
      if (code !== 'ESRCH' && code !== 'EPERM') throw error
    }
  }
}

function collect(
  stream: NodeJS.ReadableStream,
  maxBytes: number,
  tooMuch: () => void,
): () => string {
  const chunks: Buffer[] = []
  let size = 0
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size <= maxBytes) chunks.push(chunk)
    else tooMuch()
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

function collectTail(stream: NodeJS.ReadableStream, maxBytes: number): () => string {
  let tail = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]).subarray(-maxBytes)
  })
  return () => tail.toString('utf8')
}

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The program, as it is run from a checkout. */
export const programPath: string = fileURLToPath(
  new URL('../../packages/node/bin/modmesh.js', import.meta.url),
)

export interface StartNodeInit {
  /** Flags after `start`; they win over the defaults below. */
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** An existing data directory, which is left in place; else a fresh one, removed at the end. */
  readonly dir?: string
  /** What the node reads on standard input. */
  readonly input?: string
  /** Program and arguments to run it through, such as `['ip', 'netns', 'exec', 'x']`. */
  readonly through?: readonly string[]
  /** How long the ready line may take. Milliseconds. */
  readonly timeoutMs?: number
}

/** A node in a process of its own. */
export interface StartedNode extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`, as in the ready line. */
  readonly url: string
  readonly mesh: string | undefined
  readonly peerId: string
  readonly dir: string
  readonly pid: number
  readonly readyLine: string
  readonly process: ChildProcess
  /** What it wrote on stderr so far. */
  log(): string
  /** What it wrote on stdout so far. */
  output(): string
  /** Runs a client command against its data directory. */
  run(args: readonly string[], init?: RunInit): Promise<RunResult>
  /** Sends a signal and resolves with the exit code, or undefined when a signal ended it. */
  end(signal?: NodeJS.Signals): Promise<number | undefined>
}

export interface RunInit {
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  readonly through?: readonly string[]
}

export interface RunResult {
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

const defaultTimeoutMs = 120_000

/**
 * Starts `modmesh start` on free ports with multicast off, and waits for the ready line.
 * Rejects with what it wrote when it ends before.
 */
export async function startNode(init: StartNodeInit = {}): Promise<StartedNode> {
  const dir = init.dir ?? (await mkdtemp(join(tmpdir(), 'modmesh-node-')))
  const given = init.args ?? []
  // It may be given several times: a further one would not win over ours, but stand beside it.
  const listen = given.includes('--listen') ? [] : ['--listen', '127.0.0.1:0']
  const fixed = [...listen, '--mesh-listen', '127.0.0.1:0', '--mdns', 'off']
  const args = ['start', '--dir', dir, ...fixed, ...given]
  const child = launch(args, init)
  const readyLine = await waitForReady(child, init.timeoutMs ?? defaultTimeoutMs).catch(
    async (error: unknown) => {
      await finish(child.process, 'SIGKILL')
      if (init.dir === undefined) await rm(dir, { recursive: true, force: true })
      throw error
    },
  )
  const fields = new Map(readyLine.split(' ').map((word) => word.split('=', 2) as [string, string]))
  const mesh = fields.get('mesh')
  return {
    url: fields.get('proxy') ?? '',
    mesh: mesh === 'none' ? undefined : mesh,
    peerId: fields.get('peer') ?? '',
    dir,
    pid: child.process.pid ?? 0,
    readyLine,
    process: child.process,
    log: child.stderr,
    output: child.stdout,
    run: (clientArgs, runInit) => runModmesh([...clientArgs, '--dir', dir], runInit),
    end: (signal = 'SIGTERM') => finish(child.process, signal),
    [Symbol.asyncDispose]: async () => {
      await finish(child.process, 'SIGKILL')
      if (init.dir === undefined) await rm(dir, { recursive: true, force: true })
    },
  }
}

/** Runs a command of modmesh to its end. */
export async function runModmesh(args: readonly string[], init: RunInit = {}): Promise<RunResult> {
  const child = launch(args, init)
  const code = await new Promise<number | undefined>((resolve, reject) => {
    child.process.once('error', reject)
    child.process.once('close', (exitCode) => resolve(exitCode ?? undefined))
  })
  return { code, stdout: child.stdout(), stderr: child.stderr() }
}

interface Launched {
  readonly process: ChildProcess
  readonly stdout: () => string
  readonly stderr: () => string
}

/** The caller's own settings and configuration file must not leak into a test. */
function launch(args: readonly string[], init: RunInit): Launched {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('MODMESH_'))
  const env = {
    ...Object.fromEntries(inherited),
    XDG_CONFIG_HOME: join(tmpdir(), 'modmesh-no-config'),
    ...init.env,
  }
  const [program = '', ...rest] = [...(init.through ?? []), process.execPath, programPath, ...args]
  const child = spawn(program, rest, { env, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin.on('error', () => undefined) // it may end without having read its input
  child.stdin.end(init.input ?? '')
  return { process: child, stdout: collect(child.stdout), stderr: collect(child.stderr) }
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    text += chunk
  })
  return () => text
}

function waitForReady(child: Launched, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      clearTimeout(timer)
      reject(new Error(`${why}\nstdout: ${child.stdout()}\nstderr: ${child.stderr()}`))
    }
    const timer = setTimeout(() => fail(`not ready after ${timeoutMs} ms`), timeoutMs)
    child.process.once('error', (error) => fail(error.message))
    child.process.once('close', (code, signal) => fail(`ended early (${code ?? signal})`))
    child.process.stdout?.on('data', () => {
      const line = child
        .stdout()
        .split('\n')
        .find((l) => l.startsWith('ready '))
      if (line === undefined || !child.stdout().includes(`${line}\n`)) return
      clearTimeout(timer)
      resolve(line)
    })
  })
}

function finish(child: ChildProcess, signal: NodeJS.Signals): Promise<number | undefined> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve(child.exitCode ?? undefined)
      return
    }
    child.once('close', (code) => resolve(code ?? undefined))
    child.kill(signal)
  })
}

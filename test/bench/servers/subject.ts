import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../support/free-port.ts'

/** A server that is measured: how it is started on an empty folder. */
export interface Subject {
  readonly name: string
  readonly command: (how: StartInit) => {
    readonly file: string
    readonly args: readonly string[]
    readonly env: Readonly<Record<string, string>>
  }
}

/** What a server is started with. */
export interface StartInit {
  readonly dir: string
  readonly port: number
  /** Where it fetches from, and the database that it checks with (GOSUMDB syntax). */
  readonly upstream: string
  readonly gosumdb: string
  /** Leaves the folder when it is disposed of. */
  readonly keep?: boolean
}

/** A server in a process of its own. */
export interface RunningServer extends AsyncDisposable {
  readonly url: string
  /** From the start of the process to the first answer, milliseconds. */
  readonly startMs: number
  /** Most memory it had resident so far, in MB; undefined where /proc does not tell. */
  peakMegabytes(): number | undefined
  /** Asks it to end, as its operator would; its folder stays. */
  end(): Promise<void>
}

const main: string = fileURLToPath(
  new URL('../../../packages/node/bin/modmesh.js', import.meta.url),
)

/** This program. */
export const modmesh: Subject = {
  name: 'modmesh',
  command: ({ dir, port, upstream, gosumdb }) => ({
    file: process.execPath,
    args: [
      main,
      'start',
      `--dir=${dir}`,
      `--listen=127.0.0.1:${port}`,
      '--mesh-listen=127.0.0.1:0',
      '--mdns=off',
      '--log=error',
      `--upstream=${upstream}`,
      `--sumdb=${gosumdb}`,
    ],
    env: {},
  }),
}

/** github.com/goproxy/goproxy, its command. */
export function goproxy(file: string): Subject {
  return {
    name: 'goproxy',
    command: ({ dir, port, upstream, gosumdb }) => ({
      file,
      args: [
        'server',
        `--address=127.0.0.1:${port}`,
        `--cacher-dir=${join(dir, 'caches')}`,
        `--temp-dir=${dir}`,
      ],
      env: { GOPROXY: upstream, GOSUMDB: gosumdb, GOFLAGS: '-modcacherw', ...homeOf(dir) },
    }),
  }
}

/** github.com/gomods/athens with its storage on disk. */
export function athens(file: string): Subject {
  return {
    name: 'athens',
    command: ({ dir, port, upstream, gosumdb }) => ({
      file,
      args: [],
      env: {
        ATHENS_PORT: `127.0.0.1:${port}`,
        ATHENS_STORAGE_TYPE: 'disk',
        ATHENS_DISK_STORAGE_ROOT: dir,
        ATHENS_LOG_LEVEL: 'error',
        ATHENS_GOGET_DIR: dir,
        ATHENS_GO_BINARY_ENV_VARS: `GOPROXY=${upstream};GOSUMDB=${gosumdb};GOFLAGS=-modcacherw`,
        ...homeOf(dir),
      },
    }),
  }
}

function homeOf(dir: string): Record<string, string> {
  return {
    HOME: dir,
    GOPATH: join(dir, 'gopath'),
    GOENV: 'off',
    GOTOOLCHAIN: 'local',
    TMPDIR: dir,
  }
}

/** The file of a program on PATH, or undefined. */
export function onPath(names: readonly string[]): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of names) {
      const file = join(folder, name)
      try {
        accessSync(file, constants.X_OK)
        return file
      } catch {
        // not in this folder
      }
    }
  }
  return undefined
}

/** Longest wait for a server's first answer. Milliseconds. */
const startTimeoutMs = 60_000

/** Starts a server, through a wrapper such as strace if one is given, and waits for its first answer. */
export async function startServer(
  subject: Subject,
  init: Omit<StartInit, 'port'>,
  wrapper: readonly string[] = [],
): Promise<RunningServer> {
  mkdirSync(init.dir, { recursive: true })
  const port = await freePort()
  const { file, args, env } = subject.command({ ...init, port })
  const [program = file, ...rest] = [...wrapper, file, ...args]
  const started = performance.now()
  const child = spawn(program, rest, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-500)
  })
  const url = `http://127.0.0.1:${port}`
  try {
    await firstAnswer(child, url, started)
  } catch (error) {
    throw new Error(`${subject.name} does not start: ${said}`, { cause: error })
  }
  const startMs = performance.now() - started
  return {
    url,
    startMs,
    peakMegabytes: () => peakOf(child.pid),
    end: () => end(child, 'SIGTERM'),
    [Symbol.asyncDispose]: async () => {
      await end(child, 'SIGKILL')
      if (init.keep !== true) rmSync(init.dir, { recursive: true, force: true })
    },
  }
}

async function firstAnswer(child: ChildProcess, url: string, started: number): Promise<void> {
  for (;;) {
    try {
      await (await fetch(`${url}/`)).arrayBuffer()
      return
    } catch (error) {
      if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
      if (performance.now() - started > startTimeoutMs) throw error
    }
    await sleep(5)
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  // The whole group: a wrapper does not pass signals on.
  process.kill(-child.pid, signal)
  await gone
}

function peakOf(pid: number | undefined): number | undefined {
  try {
    const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return peak === undefined ? undefined : Number(peak) / 1024
  } catch {
    return undefined
  }
}

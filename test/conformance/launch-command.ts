import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../support/free-port.ts'
import type { ServerSettings } from './case.ts'
import { type LaunchedServer, type Launcher, type LaunchInit, privatePattern } from './run-case.ts'
import { send } from './send.ts'
import type { World } from './world.ts'

/** How long a server may take until it answers anything, and to end when it is told to. Milliseconds. */
const startMs = 30_000
const stopMs = 12_000

/**
 * A server that a shell command starts. In the command, `{port}` is where it is to listen on 127.0.0.1, `{dir}` a
 * folder of its own, `{upstream}` the list in GOPROXY syntax, `{sumdb}` the database in GOSUMDB syntax,
 * `{sumdbname}`, `{sumdbkey}` and `{sumdburl}` the parts of that, `{private}` the patterns of private modules.
 * Cases that need more are run when the command has a place for it: `{ttl}`, `{offline}`, `{secret}`.
 */
export function commandLauncher(name: string, command: string): Launcher {
  const settings: readonly (keyof ServerSettings)[] = ['ttl', 'offline', 'secret']
  const understands = new Set<keyof ServerSettings>(['list'])
  for (const setting of settings) if (command.includes(`{${setting}}`)) understands.add(setting)
  return { name, understands, launch: (init) => launch(command, init) }
}

/** A server that runs already and was told of the world's upstream and database. */
export function runningServer(url: string, world: World): Launcher {
  const { origin } = new URL(url)
  const stop = (): Promise<void> => Promise.resolve()
  const launchOnly = (): Promise<LaunchedServer> => Promise.resolve({ origin, stop })
  return { name: origin, understands: new Set(), shared: world, launch: launchOnly }
}

async function launch(command: string, init: LaunchInit): Promise<LaunchedServer> {
  const port = await freePort()
  const text = fill(command, init, port)
  // A group of its own, so that the shell's children end with it.
  const child = spawn('/bin/sh', ['-c', text], {
    cwd: init.dir,
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-4_000)
  })
  const origin = `http://127.0.0.1:${port}`
  try {
    await untilItAnswers(origin, child)
  } catch (error) {
    await end(child)
    throw new Error(`${text}\n${said}`, { cause: error })
  }
  return { origin, stop: () => end(child) }
}

function fill(command: string, init: LaunchInit, port: number): string {
  const { sumdb } = init
  const values: Readonly<Record<string, string>> = {
    port: String(port),
    dir: init.dir,
    upstream: init.list,
    sumdb: `${sumdb.key} ${sumdb.url}`,
    sumdbname: sumdb.name,
    sumdbkey: sumdb.key,
    sumdburl: sumdb.url,
    private: privatePattern,
    ttl: String(init.ttl ?? 60),
    offline: init.offline === true ? '1' : '',
    secret: init.secret ?? '',
  }
  return Object.entries(values).reduce(
    (text, [name, value]) => text.replaceAll(`{${name}}`, value),
    command,
  )
}

async function untilItAnswers(origin: string, child: ChildProcess): Promise<void> {
  const end = performance.now() + startMs
  while (performance.now() < end) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    const { status } = await send({ origin, path: '/', timeoutMs: 2_000 })
    if (status !== 0) return
    await sleep(20)
  }
  throw new Error(`no answer within ${startMs} ms`)
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const ended = once(child, 'exit')
  process.kill(-child.pid, 'SIGTERM')
  const cut = setTimeout(
    () => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'),
    stopMs,
  )
  await ended
  clearTimeout(cut)
}

/**
 * Runs the conformance cases against any GOPROXY servers and prints who passes which.
 *
 *   node test/conformance/main.ts
 *   node test/conformance/main.ts --command 'other=GOPROXY={upstream} other-server --listen 127.0.0.1:{port}' --command modmesh
 *   node test/conformance/main.ts --url http://127.0.0.1:8080 --control 127.0.0.1:5000
 *
 * With `--command` each case starts a server of its own (launch-command.ts says what may stand in braces). With
 * `--url` one server runs all the time; it must be told of the upstream that `--control` opens, and the cases that
 * need a restart or a database of their own are left out. `--no-database` leaves out the cases that ask the server
 * for a checksum database, where it cannot be told of one to serve.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { ConformanceCase } from './case.ts'
import { subjects } from './cases/index.ts'
import { commandLauncher, runningServer } from './launch-command.ts'
import { type Launcher, type Outcome, runCase } from './run-case.ts'
import { World } from './world.ts'

const program = fileURLToPath(new URL('../../packages/node/bin/modmesh.js', import.meta.url))
const ourCommand = [
  'MODMESH_PATH_SECRET={secret} MODMESH_OFFLINE={offline} MODMESH_NOPROXY=',
  `exec ${process.execPath} ${program} start --dir {dir} --listen 127.0.0.1:{port}`,
  "--mesh-listen 127.0.0.1:0 --mdns off --log error --upstream '{upstream}' --sumdb '{sumdb}'",
  "--private '{private}' --ttl {ttl} --fetch-timeout 5",
].join(' ')

const { values } = parseArgs({
  options: {
    command: { type: 'string', multiple: true, default: [] },
    url: { type: 'string' },
    control: { type: 'string', default: '127.0.0.1:5000' },
    'no-database': { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    why: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})

async function launchers(): Promise<readonly Launcher[]> {
  const named = values.command.map((text) => {
    if (text === 'modmesh') return commandLauncher('modmesh', ourCommand)
    const equals = text.indexOf('=')
    return commandLauncher(text.slice(0, equals), text.slice(equals + 1))
  })
  if (values.url !== undefined) named.push(runningServer(values.url, await control()))
  const chosen = named.length > 0 ? named : [commandLauncher('modmesh', ourCommand)]
  return chosen.map((launcher) => ({ ...launcher, servesDatabase: !values['no-database'] }))
}

/** Opens the world that a running server was, or is now, told of. */
async function control(): Promise<World> {
  const world = await World.open({ before: 300, port: Number(values.control.split(':').at(-1)) })
  const { database, upstream } = world
  console.error(`upstream  ${upstream.url}`)
  console.error(`database  ${database.keyText} ${upstream.url}/sumdb/${database.name}`)
  return world
}

async function runOne(
  launcher: Launcher,
  testCase: ConformanceCase,
  tag: string,
): Promise<Outcome> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-case-'))
  try {
    return await runCase(launcher, testCase, { tag, dir })
  } catch (error) {
    return { kind: 'failed', faults: [String(error)] }
  } finally {
    // A cache of read-only folders, as go makes them, may stay behind.
    await rm(dir, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined)
  }
}

const marks: Readonly<Record<Outcome['kind'], string>> = {
  passed: 'pass',
  failed: 'FAIL',
  'not-run': '-',
}

interface Row {
  readonly subject: string
  readonly name: string
  readonly outcomes: readonly Outcome[]
}

function report(servers: readonly Launcher[], rows: readonly Row[]): void {
  if (values.json) {
    const names = servers.map(({ name }) => name)
    console.log(JSON.stringify({ schema: 'modmesh.conformance/1', servers: names, rows }, null, 2))
    return
  }
  const total = servers.map((_, i) => {
    const kinds = rows.map(({ outcomes }) => outcomes[i]?.kind)
    const passed = kinds.filter((kind) => kind === 'passed').length
    return `${passed}/${kinds.filter((kind) => kind !== 'not-run').length}`
  })
  console.log(`\n${line(total, 'passed of those that could be run')}`)
}

function line(cells: readonly string[], name: string): string {
  return `${cells.map((cell) => cell.padEnd(10)).join('')}${name}`
}

const servers = await launchers()
const rows: Row[] = []
if (!values.json)
  console.log(
    line(
      servers.map(({ name }) => name.slice(0, 9)),
      '',
    ),
  )
let count = 0
for (const subject of subjects) {
  const wanted = subject.cases.filter(({ name }) =>
    `${subject.name}: ${name}`.includes(values.only),
  )
  if (wanted.length > 0 && !values.json) console.log(`\n${subject.name}`)
  for (const testCase of wanted) {
    const tag = `c${count++}`
    const outcomes: Outcome[] = []
    for (const server of servers) outcomes.push(await runOne(server, testCase, tag))
    rows.push({ subject: subject.name, name: testCase.name, outcomes })
    if (values.json) continue
    console.log(
      line(
        outcomes.map(({ kind }) => marks[kind]),
        testCase.name,
      ),
    )
    for (const [i, outcome] of outcomes.entries()) {
      if (!values.why || outcome.kind !== 'failed') continue
      for (const fault of outcome.faults)
        console.log(`          ${servers[i]?.name}: ${fault.trimEnd()}`)
    }
  }
}
report(servers, rows)
const failed = rows.some(({ outcomes }) => outcomes.some(({ kind }) => kind === 'failed'))
process.exit(failed ? 1 : 0)

/**
 * `pnpm demo`: three nodes in temporary folders and a real project. The first node downloads it from
 * upstream, upstream is cut, the other two get it from their peers. `--project MODULE@VERSION` picks it.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { timeCommand } from '../bench/measure.ts'
import { fetchProjectFiles, goEnvironment } from '../support/project.ts'
import { type Relay, startRelay } from '../support/relay.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const { values } = parseArgs({
  options: { project: { type: 'string', default: 'github.com/prometheus/prometheus@v0.314.0' } },
})

interface Count {
  readonly answers: number
  readonly bytes: number
}

interface Line {
  readonly node: string
  readonly seconds: number
  readonly counts: Readonly<Record<'store' | 'peer' | 'upstream', Count>>
  readonly verified: boolean
}

const scratch = mkdtempSync(join(tmpdir(), 'modmesh-demo-'))

/** Downloads the project through a node into an empty module cache, and checks the cache. */
async function download(name: string, node: StartedNode): Promise<Line> {
  const gopath = join(scratch, `go-${name}`)
  const project = join(scratch, `project-${name}`)
  mkdirSync(project, { recursive: true })
  for (const [file, text] of files) writeFileSync(join(project, file), text)
  const env = goEnvironment(gopath, { GOPROXY: node.url })
  const seconds = await timeCommand('go', ['mod', 'download'], { cwd: project, env })
  const verify = execFileSync('go', ['mod', 'verify'], { cwd: project, env, encoding: 'utf8' })
  const status = await node.run(['status', '--json'])
  const { answers } = JSON.parse(status.stdout) as {
    answers: { sinceStart: Line['counts'] }
  }
  return {
    node: name,
    seconds,
    counts: answers.sinceStart,
    verified: verify.includes('all modules verified'),
  }
}

async function invite(node: StartedNode): Promise<string> {
  const done = await node.run(['invite'])
  if (done.code !== 0) throw new Error(done.stderr)
  return done.stdout.trim()
}

function printTable(lines: readonly Line[], relay: Relay): void {
  const cell = (count: Count): string =>
    `${count.answers} files, ${(count.bytes / 1e6).toFixed(1)} MB`.padEnd(22)
  console.log(
    `\nnode  ${'from upstream'.padEnd(22)}${'from peers'.padEnd(22)}${'own store'.padEnd(22)}time     go mod verify`,
  )
  for (const line of lines) {
    const { upstream, peer, store } = line.counts
    const time = `${line.seconds.toFixed(1)} s`.padEnd(9)
    const verdict = line.verified ? 'all modules verified' : 'FAILED'
    console.log(
      `${line.node.padEnd(6)}${cell(upstream)}${cell(peer)}${cell(store)}${time}${verdict}`,
    )
  }
  const megabytes = (relay.bytes / 1e6).toFixed(1)
  console.log(
    `\nThe link to upstream carried ${relay.answers} answers, ${megabytes} MB, all before it was cut.`,
  )
}

const files = fetchProjectFiles(join(scratch, 'fetch'), values.project)
try {
  await using relay = await startRelay('https://proxy.golang.org')
  const args = ['--upstream', relay.url]
  await using a = await startNode({ args: [...args, '--name', 'a'] })
  console.log(`node a serves ${a.url}; downloading ${values.project} through it`)
  const lines = [await download('a', a)]

  console.log('cutting upstream')
  await relay.cut()
  const ticket = await invite(a)
  const env = { MODMESH_JOIN: ticket }
  await using b = await startNode({ args: [...args, '--name', 'b'], env })
  await using c = await startNode({ args: [...args, '--name', 'c'], env })
  console.log('nodes b and c have joined with a ticket of a, both empty; downloading through them')
  lines.push(await download('b', b))
  lines.push(await download('c', c))
  printTable(lines, relay)
  process.exitCode = lines.every((line) => line.verified) ? 0 : 1
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

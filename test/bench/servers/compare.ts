import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { goEnvironment, type Project } from '../../support/project.ts'
import { median, timeCommand } from '../measure.ts'
import { startUpstream, type Upstream } from '../upstream.ts'
import { LoadMaker } from './load.ts'
import { type RunningServer, type Subject, startServer } from './subject.ts'

/** One measurement of every server, in the order of the subjects; undefined where it could not be made. */
export interface Line {
  readonly title: string
  readonly unit: string
  readonly isMoreBetter: boolean
  readonly values: readonly (number | undefined)[]
  readonly notes: readonly string[]
}

const connectionCounts = [1, 16, 64] as const
/** Latency of the stand-in upstream, per answer. */
const upstreamDelayMs = 20

/** Servers side by side, in one run, on the same files. */
export class Comparison implements AsyncDisposable {
  readonly #project: Project
  readonly #scratch: string
  readonly #clients: string
  readonly #subjects: readonly Subject[]
  readonly #rounds: number
  readonly #near: Upstream
  readonly #far: Upstream

  private constructor(
    init: { project: Project; scratch: string; subjects: readonly Subject[]; rounds: number },
    upstreams: readonly [Upstream, Upstream],
  ) {
    this.#project = init.project
    this.#scratch = init.scratch
    this.#subjects = init.subjects
    this.#rounds = init.rounds
    this.#clients = mkdtempSync(
      join(existsSync('/dev/shm') ? '/dev/shm' : init.scratch, 'modmesh-'),
    )
    ;[this.#near, this.#far] = upstreams
  }

  static async open(init: {
    project: Project
    scratch: string
    subjects: readonly Subject[]
    rounds: number
  }): Promise<Comparison> {
    const near = await startUpstream(init.project, 0)
    return new Comparison(init, [near, await startUpstream(init.project, upstreamDelayMs)])
  }

  /** Start to first answer, on an empty folder and again on the same, and memory after it. */
  async start(): Promise<Line[]> {
    const first = this.#subjects.map((): number[] => [])
    const later = this.#subjects.map((): number[] => [])
    const sizes = this.#subjects.map((): number[] => [])
    await this.#inTurn(async (subject, i) => {
      const dir = mkdtempSync(join(this.#scratch, `${subject.name}-`))
      for (const times of [first, later]) {
        const init = { dir, upstream: this.#near.url, gosumdb: this.#near.gosumdb, keep: true }
        await using server = await startServer(subject, init)
        times[i]?.push(server.startMs)
        const peak = server.peakMegabytes()
        if (peak !== undefined) sizes[i]?.push(peak)
        await server.end()
      }
    })
    return [
      lineOf('first start, empty folder', 'ms', first, false),
      lineOf('start on the same folder', 'ms', later, false),
      lineOf('memory after the start', 'MB', sizes, false),
    ]
  }

  /** `go mod download` through an empty server, upstream 20 ms away. */
  async cold(wrapper: readonly string[] = [], title = 'cold go mod download'): Promise<Line> {
    const times = this.#subjects.map((): number[] => [])
    const notes: string[] = []
    await this.#inTurn(async (subject, i) => {
      await using server = await this.#server(subject, this.#far, wrapper)
      const took = await this.#download(server.url)
      if (typeof took === 'number') times[i]?.push(took)
      else notes.push(`${subject.name}: ${took.failed}`)
    })
    return lineOf(title, 's', times, false, notes)
  }

  /** Everything that is measured on servers that hold the project: downloads, then requests. */
  async warm(seconds: number): Promise<Line[]> {
    await using stack = new AsyncDisposableStack()
    const servers: RunningServer[] = []
    const notes: string[] = []
    for (const subject of this.#subjects) {
      const server = stack.use(await this.#server(subject, this.#near))
      const filled = await this.#download(server.url)
      if (typeof filled !== 'number') notes.push(`${subject.name}: ${filled.failed}`)
      servers.push(server)
    }
    const times = servers.map((): number[] => [])
    for (let round = 0; round < this.#rounds; round++) {
      for (const [i, server] of turned(servers, round)) {
        const took = await this.#download(server.url)
        if (typeof took === 'number') times[i]?.push(took)
      }
    }
    const lines = [lineOf('warm go mod download', 's', times, false, notes)]
    const load = new LoadMaker(this.#scratch)
    for (const [kind, paths] of this.#requests()) {
      for (const connections of connectionCounts) {
        lines.push(...(await this.#load(load, servers, { kind, paths, connections, seconds })))
      }
    }
    const peaks = servers.map((server) => [server.peakMegabytes() ?? Number.NaN])
    return [...lines, lineOf('most memory in all of this', 'MB', peaks, false)]
  }

  async #load(
    load: LoadMaker,
    servers: readonly RunningServer[],
    how: { kind: string; paths: readonly string[]; connections: number; seconds: number },
  ): Promise<Line[]> {
    const rates = servers.map((): number[] => [])
    const tails = servers.map((): number[] => [])
    const notes = new Set<string>()
    for (let round = 0; round < this.#rounds; round++) {
      for (const [i, server] of turned(servers, round)) {
        const done = await load.run(server.url, how.paths, how)
        rates[i]?.push(done.requests / done.seconds)
        tails[i]?.push(done.p99)
        const { name } = this.#subjects[i] ?? { name: '?' }
        if (done.failed > 0) notes.add(`${name}: some requests failed`)
      }
    }
    const what = `${how.kind}, ${how.connections} connection${how.connections > 1 ? 's' : ''}`
    return [lineOf(what, '/s', rates, true, [...notes]), lineOf(`${what}, p99`, 'ms', tails, false)]
  }

  /** Paths by kind; zips of about 1 MB, so that rates say something. */
  #requests(): [string, string[]][] {
    const files = listFiles(this.#project.tree, '')
    const ofKind = (ending: string) => files.filter((file) => file.endsWith(ending))
    const needed = neededModules(this.#project)
    const middling = ofKind('.zip').filter((file) => {
      const { size } = statSync(join(this.#project.tree, file))
      return size > 300_000 && size < 3_000_000 && needed.has(file.slice(0, -'.zip'.length))
    })
    const held = new Set(
      ofKind('.zip')
        .map((file) => file.slice(0, -'.zip'.length))
        .filter((file) => needed.has(file)),
    )
    const lists = [...held].map((file) => `${file.slice(0, file.lastIndexOf('/'))}/list`)
    const infos = [...held].map((file) => `${file}.info`)
    return [
      ['.info', infos],
      ['.mod', [...held].map((file) => `${file}.mod`)],
      ['list', lists.filter((list) => existsSync(join(this.#project.tree, list)))],
      ['.zip of about 1 MB', middling],
    ]
  }

  async #server(
    subject: Subject,
    upstream: Upstream,
    wrapper: readonly string[] = [],
  ): Promise<RunningServer> {
    const dir = mkdtempSync(join(this.#scratch, `${subject.name}-`))
    const init = { dir, upstream: upstream.url, gosumdb: upstream.gosumdb }
    return await startServer(subject, init, wrapper)
  }

  /** Seconds of one download into an empty module cache, or why it failed. */
  async #download(proxy: string): Promise<number | { readonly failed: string }> {
    const gopath = mkdtempSync(join(this.#clients, 'go-'))
    try {
      const env = goEnvironment(gopath, { GOPROXY: proxy, GOSUMDB: 'off' })
      return await timeCommand('go', ['mod', 'download'], { cwd: this.#project.folder, env })
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      return { failed: text.split('\n').slice(1, 6).join(' ').slice(0, 400) }
    } finally {
      rmSync(gopath, { recursive: true, force: true })
    }
  }

  async #inTurn(work: (subject: Subject, i: number) => Promise<void>): Promise<void> {
    for (let round = 0; round < this.#rounds; round++) {
      for (const [i, subject] of turned(this.#subjects, round)) await work(subject, i)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#near.process.kill()
    this.#far.process.kill()
    rmSync(this.#clients, { recursive: true, force: true })
  }
}

/** Each round begins with another one: a machine whose speed drifts then favours none. */
function turned<T>(items: readonly T[], round: number): [number, T][] {
  const all = [...items.entries()]
  const at = round % Math.max(1, all.length)
  return [...all.slice(at), ...all.slice(0, at)]
}

function lineOf(
  title: string,
  unit: string,
  values: readonly (readonly number[])[],
  isMoreBetter: boolean,
  notes: readonly string[] = [],
): Line {
  const medians = values.map((one) => (one.length === 0 ? undefined : median(one)))
  return { title, unit, isMoreBetter, values: medians, notes }
}

/** Paths without ending, as in a GOPROXY's URL, of what the project's go.sum has a zip of. */
function neededModules({ needed }: Project): ReadonlySet<string> {
  const lower = (text: string) => text.replace(/[A-Z]/g, (c) => `!${c.toLowerCase()}`)
  return new Set(needed.map((name) => `/${lower(name).replace('@', '/@v/')}`))
}

function listFiles(root: string, folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    return entry.isDirectory() ? listFiles(root, path) : [path]
  })
}

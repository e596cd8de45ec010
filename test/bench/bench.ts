import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { goEnvironment, type Project } from '../support/project.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'
import { type Comparison, inTurn, timeCommand } from './measure.ts'
import { startUpstream, type Upstream } from './upstream.ts'

/** One line of the result. */
export interface Row {
  readonly title: string
  readonly comparison: Comparison
  /** The largest ratio we mean to have. */
  readonly aim: number | undefined
}

/** Latency of the stand-in upstream, per answer. */
const upstreamDelayMs = 20

/** The measurements. Clients unpack into memory where there is a tmpfs: else unpacking drowns everything. */
export class Bench implements AsyncDisposable {
  readonly #project: Project
  readonly #scratch: string
  readonly #rounds: number
  readonly #clients: string
  readonly #near: Upstream
  readonly #far: Upstream
  readonly #warm: StartedNode

  private constructor(init: {
    project: Project
    scratch: string
    rounds: number
    clients: string
    near: Upstream
    far: Upstream
    warm: StartedNode
  }) {
    this.#project = init.project
    this.#scratch = init.scratch
    this.#rounds = init.rounds
    this.#clients = init.clients
    this.#near = init.near
    this.#far = init.far
    this.#warm = init.warm
  }

  /** Starts the upstreams and a node that holds everything. */
  static async open(project: Project, scratch: string, rounds: number): Promise<Bench> {
    const near = await startUpstream(project, 0)
    const far = await startUpstream(project, upstreamDelayMs)
    const clients = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : scratch, 'modmesh-'))
    const warm = await startNode({
      dir: fresh(scratch),
      args: ['--upstream', near.url, '--sumdb', near.gosumdb],
    })
    const bench = new Bench({ project, scratch, rounds, clients, near, far, warm })
    await bench.#download(warm.url)
    return bench
  }

  /** A warm node against the same files read by `go` itself. */
  async warm(): Promise<Row> {
    const comparison = await inTurn(
      this.#rounds,
      () => this.#download(this.#warm.url),
      () => this.#download(`file://${this.#project.tree}`),
    )
    return { title: 'warm download, through a node : file://', comparison, aim: 1.15 }
  }

  /** An empty second host that has only the first one, against the warm download. */
  async lanFill(): Promise<Row> {
    const comparison = await inTurn(
      this.#rounds,
      () =>
        this.#onFreshNode(
          ['--upstream', 'off', '--sumdb', this.#near.gosumdb],
          (node) => this.#download(node.url),
          this.#warm,
        ),
      () => this.#download(this.#warm.url),
    )
    return { title: 'cold host filling from one LAN peer : warm download', comparison, aim: 1.7 }
  }

  /** What peers that have nothing cost, and what the node costs, on a cold download. */
  async cold(): Promise<Row[]> {
    await using empty = await startNode({
      dir: fresh(this.#scratch),
      args: ['--upstream', 'off', '--sumdb', this.#far.gosumdb],
    })
    const args = ['--upstream', this.#far.url, '--sumdb', this.#far.gosumdb]
    const alone = () => this.#onFreshNode(args, (node) => this.#download(node.url))
    const withPeers = () => this.#onFreshNode(args, (node) => this.#download(node.url), empty)
    const straight = () => this.#download(this.#far.url)
    const peers = await inTurn(this.#rounds, withPeers, alone)
    const node = await inTurn(this.#rounds, alone, straight)
    return [
      { title: 'cold download, peers that have nothing : no peers', comparison: peers, aim: 1.05 },
      { title: 'cold download, no peers : straight upstream', comparison: node, aim: undefined },
    ]
  }

  /** Seconds of one `go mod download` into an empty module cache. */
  async #download(proxy: string): Promise<number> {
    const gopath = mkdtempSync(join(this.#clients, 'go-'))
    try {
      const env = goEnvironment(gopath, { GOPROXY: proxy, GOSUMDB: 'off' })
      return await timeCommand('go', ['mod', 'download'], { cwd: this.#project.folder, env })
    } finally {
      rmSync(gopath, { recursive: true, force: true })
    }
  }

  /** Times work on a node with an empty store; starting and joining is not counted. */
  async #onFreshNode(
    args: readonly string[],
    work: (node: StartedNode) => Promise<number>,
    inviter?: StartedNode,
  ): Promise<number> {
    const env = inviter === undefined ? {} : { MODMESH_JOIN: await ticketOf(inviter) }
    const dir = fresh(this.#scratch)
    await using node = await startNode({ dir, args, env })
    try {
      if (inviter !== undefined) await joined(node)
      return await work(node)
    } finally {
      await node.end()
      rmSync(dir, { recursive: true, force: true })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#warm[Symbol.asyncDispose]()
    this.#near.process.kill()
    this.#far.process.kill()
    rmSync(this.#clients, { recursive: true, force: true })
  }
}

async function ticketOf(node: StartedNode): Promise<string> {
  const done = await node.run(['invite'])
  if (done.code !== 0) throw new Error(`invite: ${done.stderr}`)
  return done.stdout.trim()
}

/** Waits until a node is connected to the one that invited it. */
async function joined(node: StartedNode): Promise<void> {
  const done = await node.run(['wait', '--peers', '1'])
  if (done.code !== 0) throw new Error(`wait: ${done.stderr}`)
}

function fresh(scratch: string): string {
  mkdirSync(scratch, { recursive: true })
  return mkdtempSync(join(scratch, 'node-'))
}

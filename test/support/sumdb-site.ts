import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { World } from '../conformance/world.ts'
import { GoHome, type GoResult } from './go.ts'
import { type StartedNode, startNode } from './start-node.ts'
import { Witness } from './witness.ts'

/** Nothing is proven of it when the database begins to lie. */
export const victim = { path: 'example.com/victim', version: 'v1.0.0' } as const
/** What a test may have proven before. */
const bystander = { path: 'example.com/bystander', version: 'v1.0.0' } as const
export const victimName: string = nameOf(victim)
export const bystanderName: string = nameOf(bystander)
/** A log of three levels of tiles, the records of the modules far from its edge. */
const longLog = { before: 25_600, after: 44_400 }

/** A client that trusts the node alone: nothing is checked behind it. */
const unchecked: Readonly<Record<string, string>> = { GONOSUMDB: '*' }

/**
 * A checksum database that can lie, the upstream beside it, a node in a process of its own that uses both, and
 * a witness before the node that sees all it answers.
 */
export class SumdbSite implements AsyncDisposable {
  readonly world: World
  readonly witness: Witness
  readonly dir: string
  readonly #args: readonly string[]
  readonly #stack: AsyncDisposableStack
  #node: StartedNode

  static async start(
    init: {
      readonly args?: readonly string[]
      readonly env?: Readonly<Record<string, string>>
      readonly log?: { readonly before: number; readonly after: number }
    } = {},
  ): Promise<SumdbSite> {
    await using stack = new AsyncDisposableStack()
    const { before, after } = init.log ?? longLog
    const world = stack.use(await World.open({ before }))
    for (const module of [victim, bystander]) world.add(module)
    world.database.addFiller(after)
    const dir = await mkdtemp(join(tmpdir(), 'modmesh-sumdb-'))
    stack.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }))
    const { upstream } = world
    const upstreams = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb]
    const args = [...upstreams, '--fetch-timeout', '10', ...(init.args ?? [])]
    const node = await startNode({
      dir,
      args,
      ...(init.env === undefined ? {} : { env: init.env }),
    })
    const witness = stack.use(await Witness.before(node.url))
    return new SumdbSite({ world, witness, dir, args, node, stack: stack.move() })
  }

  private constructor(parts: {
    readonly world: World
    readonly witness: Witness
    readonly dir: string
    readonly args: readonly string[]
    readonly node: StartedNode
    readonly stack: AsyncDisposableStack
  }) {
    this.world = parts.world
    this.witness = parts.witness
    this.dir = parts.dir
    this.#args = parts.args
    this.#node = parts.node
    this.#stack = parts.stack
  }

  get node(): StartedNode {
    return this.#node
  }

  /** What the node keeps of the database. */
  get folder(): string {
    return join(this.dir, 'sumdb/v1', this.world.database.name)
  }

  /** Stops the node, does something, and starts it on the same directory. */
  async restart(between: () => Promise<void> = async () => {}): Promise<void> {
    await this.#node.end()
    await between()
    this.#node = await startNode({ dir: this.dir, args: this.#args })
    this.witness.target = this.#node.url
  }

  /** A home for `go` that never saw this database, its proxy the witness before the node. */
  async newGo(env: Readonly<Record<string, string>> = {}): Promise<GoHome> {
    const { keyText } = this.world.database
    const init = { proxy: this.witness.url, sumdb: keyText, env }
    return this.#stack.use(await GoHome.make(init))
  }

  async download(name: string, env: Readonly<Record<string, string>> = {}): Promise<GoResult> {
    const go = await this.newGo(env)
    return await go.run(['mod', 'download', '-json', name])
  }

  /** Reads a path through the witness. */
  async get(path: string): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await fetch(this.witness.url + path)
    return { status: answer.status, text: await answer.text() }
  }

  /** Asks for what must not be had, by `go` with and without its own checks and by hand; nothing may be 200. */
  async expectRefused(): Promise<void> {
    const from = this.witness.answers.length
    for (const env of [unchecked, {}]) {
      const result = await this.download(victimName, env)
      expect(result.code, result.stdout).toBe(1)
      // `go` is told that there is trouble; it is never given wrong bytes to find out itself.
      expect(result.stdout + result.stderr).not.toContain('SECURITY ERROR')
    }
    const file = `/${victim.path}/@v/${victim.version}`
    const paths = [`${file}.zip`, `${file}.mod`, `/sumdb/sum.test/lookup/${victimName}`]
    for (const path of paths) await this.get(path)
    const seen = this.witness.answers.slice(from)
    for (const path of paths) {
      const answers = seen.filter((answer) => answer.path === path)
      expect(answers.length, path).toBeGreaterThan(0)
      // 404 and 410 would send `go` to the next proxy of a list.
      for (const { status } of answers) expect([path, status >= 500]).toEqual([path, true])
    }
  }

  /** A download of the true bytes by a client that checks them. */
  async expectServed(name: string): Promise<void> {
    const result = await this.download(name)
    expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 })
    const [path = '', version = ''] = name.split('@')
    const { database } = this.world
    const { Sum, GoModSum } = JSON.parse(result.stdout) as Record<'Sum' | 'GoModSum', string>
    const lines = `${path} ${version} ${Sum}\n${path} ${version}/go.mod ${GoModSum}\n`
    expect(lines).toBe(database.text(database.idOf(path, version) ?? -1))
  }

  /** The files of evidence of a kind, in no order. */
  async evidence(kind: 'refused' | 'fork'): Promise<readonly Buffer[]> {
    const folder = join(this.folder, kind)
    const names = await readdir(folder).catch(() => [])
    return Promise.all(names.map((name) => readFile(join(folder, name))))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]()
    await this.#stack.disposeAsync()
  }
}

function nameOf({ path, version }: { readonly path: string; readonly version: string }): string {
  return `${path}@${version}`
}

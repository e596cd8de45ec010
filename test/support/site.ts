import { setTimeout as sleep } from 'node:timers/promises'
import type { FakeModule, FakeUpstream } from './fake-upstream.ts'
import { filePath, invite, statusOf } from './mesh.ts'
import { type StartedNode, startNode } from './start-node.ts'

/** How long all may take to find each other, ms. */
const connectMs = 90_000

/** Several nodes of one site in processes of their own, all connected with each other. */
export interface StartedSite extends AsyncDisposable {
  readonly nodes: readonly StartedNode[]
}

/** Starts a site of `count` nodes with one upstream; node `n` may get flags of its own. */
export async function startSite(
  count: number,
  upstream: Pick<FakeUpstream, 'url' | 'gosumdb'>,
  argsOf: (n: number) => readonly string[] = () => [],
): Promise<StartedSite> {
  const stack = new AsyncDisposableStack()
  const args = (n: number) => [
    ...(argsOf(n).includes('--upstream') ? [] : ['--upstream', upstream.url]),
    '--sumdb',
    upstream.gosumdb,
    '--name',
    `n${n}`,
    ...argsOf(n),
  ]
  const first = stack.use(await startNode({ args: args(0) }))
  const env = { MODMESH_JOIN: await invite(first) }
  const others = Array.from({ length: count - 1 }, async (_, n) =>
    stack.use(await startNode({ args: args(n + 1), env })),
  )
  const nodes = [first, ...(await Promise.all(others))]
  await whenConnected(nodes)
  return { nodes, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

/** Resolves when everybody is connected to everybody. */
async function whenConnected(nodes: readonly StartedNode[]): Promise<void> {
  const endMs = performance.now() + connectMs
  for (const node of nodes) {
    while ((await connected(node)) < nodes.length - 1) {
      if (performance.now() > endMs) throw new Error('the site did not find together')
      await sleep(50)
    }
  }
}

/** How many members a node is connected to. */
async function connected(node: StartedNode): Promise<number> {
  const { mesh } = await statusOf(node)
  return mesh.peers.filter((peer) => peer.connected).length
}

/** What one client asked a node for, and how it was answered. */
export interface Download {
  readonly path: string
  readonly status: number
  readonly bytes: Uint8Array
  readonly tookMs: number
  /** `Cache-Status`. */
  readonly source: string
}

/** Asks for info, mod, record and zip of each module, in this order, ten modules at a time, as `go mod download` does. */
export async function download(
  node: StartedNode,
  modules: readonly FakeModule[],
  database: string,
): Promise<readonly Download[]> {
  const done: Download[] = []
  const waiting = [...modules]
  const work = async (): Promise<void> => {
    for (let module = waiting.shift(); module !== undefined; module = waiting.shift()) {
      const lookup = `/sumdb/${database}/lookup/${module.path}@${module.version}`
      const files = [filePath(module, 'info'), filePath(module, 'mod'), lookup]
      for (const path of [...files, filePath(module, 'zip')]) done.push(await get(node, path))
    }
  }
  await Promise.all(Array.from({ length: 10 }, work))
  return done
}

/** Asks a node for one file; status 0 is a connection that broke. */
export async function get(node: StartedNode, path: string): Promise<Download> {
  const startedMs = performance.now()
  try {
    const answer = await fetch(node.url + path)
    const bytes = await answer.bytes()
    const tookMs = performance.now() - startedMs
    const source = answer.headers.get('cache-status') ?? ''
    return { path, status: answer.status, bytes, tookMs, source }
  } catch {
    const tookMs = performance.now() - startedMs
    return { path, status: 0, bytes: new Uint8Array(), tookMs, source: '' }
  }
}

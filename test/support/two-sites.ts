import { setTimeout as sleep } from 'node:timers/promises'
import type { FakeUpstream } from './fake-upstream.ts'
import { freePort } from './free-port.ts'
import { statusOf } from './mesh.ts'
import { type SlowLink, startSlowLink } from './slow-link.ts'
import { type StartedNode, startNode } from './start-node.ts'

/** How long all may take to find each other, ms. */
const connectMs = 90_000

/** A site `hq` of one node, and a site `branch` whose members reach it over one link only. */
export interface TwoSites extends AsyncDisposable {
  readonly hq: StartedNode
  readonly branch: readonly StartedNode[]
  /** The link between them: what goes up it goes to `hq`. */
  readonly link: SlowLink
  /** Starts a member of the branch anew, on the same data. */
  restart(n: number): Promise<StartedNode>
  restartHq(): Promise<StartedNode>
}

export interface TwoSitesInit {
  readonly branchHosts: number
  readonly bitsPerSecond: number
  readonly hqArgs?: readonly string[]
  readonly branchArgs?: readonly string[]
}

/** Starts both; the branch has no upstream unless its flags say so. */
export async function startTwoSites(
  upstream: Pick<FakeUpstream, 'url' | 'gosumdb'>,
  init: TwoSitesInit,
): Promise<TwoSites> {
  const stack = new AsyncDisposableStack()
  const { branchHosts, bitsPerSecond, hqArgs = [], branchArgs = [] } = init
  const shared = ['--sumdb', upstream.gosumdb, '--connect', 'configured']
  const toPort = await freePort()
  const argsOfHq = ['--upstream', upstream.url, '--site', 'hq', '--name', 'hq', ...shared]
    .concat('--mesh-listen', `127.0.0.1:${toPort}`)
    .concat(hqArgs)
  const hq = stack.use(await startNode({ args: argsOfHq }))
  const link = stack.use(await startSlowLink({ toPort, bitsPerSecond }))
  const ports = await Promise.all(Array.from({ length: branchHosts }, () => freePort()))
  const env = { MODMESH_JOIN: await ticketFor(hq, 'branch') }
  const start = async (n: number, dir?: string): Promise<StartedNode> => {
    const others = ports.filter((_, other) => other !== n)
    const peers = [link.port, ...others].flatMap((port) => ['--peer', `127.0.0.1:${port}`])
    const own = ['--name', `b${n}`, '--mesh-listen', `127.0.0.1:${ports[n]}`]
    const off = branchArgs.includes('--upstream') ? [] : ['--upstream', 'off']
    const args = [...shared, ...off, ...own, ...peers, ...branchArgs]
    return await startNode(dir === undefined ? { args, env } : { args, env, dir })
  }
  const branch = await Promise.all(ports.map(async (_, n) => stack.use(await start(n))))
  await Promise.all(branch.map((node) => whenConnected(node, branchHosts)))
  const restart = async (n: number): Promise<StartedNode> =>
    stack.use(await start(n, branch[n]?.dir))
  const restartHq = async (): Promise<StartedNode> =>
    stack.use(await startNode({ args: argsOfHq, dir: hq.dir }))
  return { hq, branch, link, restart, restartHq, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

async function ticketFor(node: StartedNode, site: string): Promise<string> {
  const { code, stdout, stderr } = await node.run(['invite', '--site', site])
  if (code !== 0) throw new Error(`invite failed (${code}): ${stderr}`)
  return stdout.trim()
}

/** Resolves when a node is connected to so many. */
async function whenConnected(node: StartedNode, count: number): Promise<void> {
  const endMs = performance.now() + connectMs
  for (;;) {
    const { mesh } = await statusOf(node)
    if (mesh.peers.filter(({ connected }) => connected).length >= count) return
    if (performance.now() > endMs) throw new Error('the sites did not find together')
    await sleep(50)
  }
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Budgets,
  type Clock,
  defaultBudgets,
  type FillEvent,
  ModuleFill,
  type Peers,
} from '@modmesh/fill'
import {
  HttpFetcher,
  HttpSumdb,
  HttpUpstream,
  ProxyServer,
  parseUpstreamRoutes,
} from '@modmesh/goproxy'
import { matchesPatterns, parsePatterns } from '@modmesh/module'
import { DiskStore } from '@modmesh/store'
import { parseGosumdb, SumdbClient } from '@modmesh/sumdb'
import { sumdbOps } from '../../packages/node/src/checksum-database.ts'

export interface StartProxyInit {
  /** GOPROXY syntax. */
  readonly upstream: string
  /** GOSUMDB syntax. */
  readonly sumdb: string
  readonly offline?: boolean
  /** As GOPRIVATE. */
  readonly isPrivate?: string
  readonly pathSecret?: string
  readonly peers?: Peers
  readonly budgets?: Partial<Budgets>
  /** An existing data directory, which is left in place. */
  readonly dir?: string
  /** How long lists are remembered, ms. */
  readonly ttlMs?: number
}

/** Everything between `go` and upstream but the mesh, wired by hand in this process. */
export interface StartedProxy extends AsyncDisposable {
  readonly url: string
  readonly store: DiskStore
  readonly fill: ModuleFill
  readonly database: SumdbClient
  readonly events: FillEvent[]
  /** What was answered with 5xx, or not at all. */
  readonly errors: unknown[]
  /** Reads a path of the local port. */
  get(path: string, headers?: Record<string, string>): Promise<Response>
}

/** Starts a proxy over a disk store of its own. */
export async function startProxy(init: StartProxyInit): Promise<StartedProxy> {
  const dir = init.dir ?? (await mkdtemp(join(tmpdir(), 'modmesh-proxy-')))
  const { upstream: list, offline = false } = init
  const gosumdb = parseGosumdb(init.sumdb)
  if (gosumdb.kind === 'off') throw new Error('a checksum database is needed here')
  const patterns = parsePatterns(init.isPrivate ?? '')
  const isPrivate = (path: string): boolean => matchesPatterns(patterns, path)
  const events: FillEvent[] = []
  const errors: unknown[] = []

  await using stack = new AsyncDisposableStack()
  if (init.dir === undefined) stack.defer(() => rm(dir, { recursive: true, force: true }))
  const store = stack.use(await DiskStore.open({ dir }))
  const http = stack.use(new HttpFetcher({}, { backoffMs: 5 }))
  const upstreams = parseUpstreamRoutes(list, { otherwise: 'off' })
  const upstream = new HttpUpstream({ http }, { upstreams, offline })
  const { name, url, key } = gosumdb
  const remote = new HttpSumdb({ http }, { name, url, list: upstreams.defaultList, offline })
  const ops = sumdbOps(store.sumdbCache(name), (...asked) => remote.read(...asked))
  const database = stack.use(new SumdbClient({ ops }, { key, isPrivate }))
  const fill = stack.use(
    new ModuleFill(
      { store, upstream, checksumDb: database, peers: init.peers ?? nobody, clock },
      {
        budgets: { ...defaultBudgets, ...init.budgets },
        isPrivate,
        onEvent: (event) => events.push(event),
        ttlMs: init.ttlMs ?? 60_000,
        negativeTtlMs: 0,
      },
    ),
  )
  const server = stack.use(
    await ProxyServer.listen(
      { source: fill, databases: [database], pages: { get: () => undefined } },
      {
        listen: '127.0.0.1:0',
        pathSecret: init.pathSecret,
        onError: (error) => errors.push(error),
      },
    ),
  )
  const parts = stack.move()
  return {
    url: server.url,
    store,
    fill,
    database,
    events,
    errors,
    get: (path, headers = {}) => fetch(server.url + path, { headers }),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

const clock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  sleep: (ms, { signal }) => sleep(ms, undefined, { signal }),
}

/** A node without a mesh. */
const nobody: Peers = {
  isAlone: () => true,
  sites: () => [],
  siteOf: () => undefined,
  async *findRecords() {},
  async *findVersions() {},
  holders: () => [],
  async *findHolders() {},
  fetchZip: () => Promise.reject(new Error('there are no peers')),
  fetchRange: () => Promise.reject(new Error('there are no peers')),
  owner: () => undefined,
  askOwner: () => Promise.reject(new Error('there are no peers')),
  fetchComing: () => Promise.reject(new Error('there are no peers')),
  blame() {},
}

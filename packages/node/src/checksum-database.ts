import type { ChecksumDb } from '@modmesh/fill'
import { type HttpFetcher, HttpSumdb } from '@modmesh/goproxy'
import type { DiskStore, SumdbCache } from '@modmesh/store'
import {
  SumdbClient,
  SumdbNotFoundError,
  type SumdbOps,
  SumdbUnavailableError,
  type VerifierKey,
} from '@modmesh/sumdb'
import { SiteTiles } from './site-tiles.ts'
import type { StartPlan } from './start-plan.ts'

/** Asks connected peers for a tile of a database; undefined when none has it. Unverified. */
export type FetchTile = (
  database: string,
  path: string,
  options: { readonly signal: AbortSignal },
) => Promise<Uint8Array | undefined>

/** Tiles that came in with a bundle, while they are verified: found before anybody is asked. */
class SuppliedTiles {
  readonly #tiles = new Map<string, Uint8Array>()

  /** Lets a tile be found by its path (`tile/8/0/000`); returns how to end that. */
  supply(path: string, bytes: Uint8Array): () => void {
    this.#tiles.set(`/${path}`, bytes)
    return () => {
      if (this.#tiles.get(`/${path}`) === bytes) this.#tiles.delete(`/${path}`)
    }
  }

  find(path: string): Uint8Array | undefined {
    return this.#tiles.get(path)
  }
}

/** A checksum database in use: the client, what it keeps, and the way to the database itself. */
export interface ChecksumDatabase {
  readonly key: VerifierKey
  readonly client: SumdbClient
  readonly cache: SumdbCache
  readonly supplied: SuppliedTiles
  /** Undefined in a process that asks nobody. */
  readonly remote: HttpSumdb | undefined
  /** Tiles for members of our site, too; undefined in a process that asks nobody. */
  readonly tiles: SiteTiles | undefined
}

/** Opens a checksum database of which nobody is asked: what is kept, and what comes in with bundles. */
export function openKeptDatabase(
  plan: StartPlan,
  store: DiskStore,
): (ChecksumDatabase & { readonly remote: undefined; readonly tiles: undefined }) | undefined {
  const { sumdb, isPrivate } = plan
  if (sumdb.kind === 'off') return undefined
  const supplied = new SuppliedTiles()
  const cache = store.sumdbCache(sumdb.name)
  const ask = async (path: string): Promise<Uint8Array> => {
    const found = supplied.find(path)
    if (found !== undefined) return found
    throw new SumdbUnavailableError(`${sumdb.name} is not asked: no node is running`)
  }
  const client = new SumdbClient({ ops: sumdbOps(cache, ask) }, { key: sumdb.key, isPrivate })
  return { key: sumdb.key, client, cache, supplied, remote: undefined, tiles: undefined }
}

/** Opens the configured checksum database, or returns undefined for `off`. */
export function openChecksumDatabase(
  plan: StartPlan,
  components: {
    readonly http: HttpFetcher
    readonly store: DiskStore
    readonly fetchTile: FetchTile
    /** Asks the member that fetches a tile for our site; undefined when that is us. */
    readonly fetchSiteTile: FetchTile
  },
): ChecksumDatabase | undefined {
  const { settings, sumdb } = plan
  if (sumdb.kind === 'off') return undefined
  const { name } = sumdb
  const remote = new HttpSumdb(components, {
    name,
    url: sumdb.url,
    list: plan.upstream.defaultList,
    offline: settings.offline,
    fetchTimeoutMs: settings.fetchTimeout * 1_000,
  })
  const cache = components.store.sumdbCache(name)
  const supplied = new SuppliedTiles()
  const fromOwner = components.fetchSiteTile
  const tiles = new SiteTiles(
    {
      read: (path, options) => remote.read(path, options),
      fromOwner,
      nowMs: () => performance.now(),
    },
    { name },
  )
  const ops = sumdbOps(cache, async (path, options) => {
    const found = options.databaseOnly === true ? undefined : supplied.find(path)
    return found ?? (await readRemote(name, { remote, tiles }, components.fetchTile, path, options))
  })
  const client = new SumdbClient({ ops }, { key: sumdb.key, isPrivate: plan.isPrivate })
  return { key: sumdb.key, client, cache, supplied, remote, tiles }
}

/** Everything that a client of a checksum database does outside itself: what it keeps, and how it asks. */
export function sumdbOps(cache: SumdbCache, ask: SumdbOps['readRemote']): SumdbOps {
  return {
    readRemote: ask,
    readHead: () => cache.readHead(),
    writeHead: (previous, next) => cache.writeHead(previous, next),
    readCache: (path) => cache.readCache(path),
    writeCache: (path, bytes) => cache.writeCache(path, bytes),
    dropCache: (path) => cache.dropCache(path),
    keepForkEvidence: (notes) => cache.keepForkEvidence(notes),
    readForkEvidence: () => cache.readForkEvidence(),
    keepRefused: (answer) => cache.keepRefused(answer),
  }
}

/**
 * The database itself when it may be asked, once for each tile and site; peers stand in for tiles, which are verified against a
 * signed head whoever gives them. Records of peers come with proofs of their own and not this way.
 */
async function readRemote(
  name: string,
  { remote, tiles }: { readonly remote: HttpSumdb; readonly tiles: SiteTiles },
  fetchTile: FetchTile,
  path: string,
  options: { readonly signal: AbortSignal; readonly databaseOnly?: boolean },
): Promise<Uint8Array> {
  const peersMayHelp = path.startsWith('/tile/') && options.databaseOnly !== true
  if (!peersMayHelp) return await remote.read(path, options)
  if (!remote.isEnabled()) return await readFromPeers(name, fetchTile, path, options)
  try {
    return await tiles.read(path, options)
  } catch (error) {
    const isTrouble = error instanceof SumdbUnavailableError || error instanceof SumdbNotFoundError
    if (!isTrouble) throw error
    const found = await fetchTile(name, path.slice(1), options)
    if (found === undefined) throw error
    return found
  }
}

async function readFromPeers(
  name: string,
  fetchTile: FetchTile,
  path: string,
  options: { readonly signal: AbortSignal },
): Promise<Uint8Array> {
  const found = await fetchTile(name, path.slice(1), options)
  if (found !== undefined) return found
  throw new SumdbUnavailableError(
    `checksum database ${name}: not asked, this node is offline, and no peer gave ${path.slice(1)}`,
  )
}

/** Stands in when the database is off: nothing is provable, so nothing goes to peers. */
export const noChecksumDb: ChecksumDb = {
  covers: () => false,
  known: async () => undefined,
  lookup: async () => refuse(),
  verifyRecord: async () => refuse(),
}

function refuse(): never {
  throw new SumdbUnavailableError('the checksum database is off')
}

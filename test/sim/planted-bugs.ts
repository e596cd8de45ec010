import {
  type Budgets,
  type Clock,
  type HeldZip,
  PeerError,
  type Peers,
  type Proof,
  type StagedZip,
  type ZipStore,
} from '@modmesh/fill'
import type { MemoryDisk } from '@modmesh/fill/twins'
import { parseModuleVersion } from '@modmesh/module'

/** A mistake put in between the fill and its ports, to prove that the simulator sees it. */
export interface PlantedBug {
  store(store: ZipStore): ZipStore
  clock(clock: Clock, budgets: Budgets): Clock
  peers(peers: Peers): Peers
  crash(disk: MemoryDisk): void
}

export const noBug: PlantedBug = {
  store: (store) => store,
  clock: (clock) => clock,
  peers: (peers) => peers,
  crash: (disk) => disk.crash(),
}

/** Accepts any bytes as a zip. */
export const skipVerify: PlantedBug = {
  ...noBug,
  store: (store) =>
    withStaged(store, { verify: (staged, signal) => staged.verify(undefined, signal) }),
}

/** Leaves the staged files of failed sources behind. */
export const forgetDiscard: PlantedBug = {
  ...noBug,
  store: (store) => withStaged(store, { discard: async () => {} }),
}

/** Waits for ever where the deadline should ring. */
export const dropDeadline: PlantedBug = {
  ...noBug,
  clock: (clock, budgets) => ({
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    sleep: (ms, options) => clock.sleep(ms === budgets.fetchTimeoutMs ? 1e12 : ms, options),
  }),
}

/** Never asks a peer for a zip. */
export const shunPeers: PlantedBug = {
  ...noBug,
  peers: (peers) => ({
    isAlone: () => peers.isAlone(),
    sites: () => peers.sites(),
    siteOf: (peer) => peers.siteOf(peer),
    findRecords: (module, options) => peers.findRecords(module, options),
    findVersions: (path, options) => peers.findVersions(path, options),
    holders: () => [],
    findHolders: async function* () {},
    fetchZip: (peer, zipHash) => Promise.reject(new Error(`${peer} is shunned for ${zipHash}`)),
    fetchRange: (peer) => Promise.reject(new Error(`${peer} is shunned`)),
    owner: () => undefined,
    askOwner: (peer) => Promise.reject(new Error(`${peer} is shunned`)),
    fetchComing: (peer) => Promise.reject(new Error(`${peer} is shunned`)),
    blame: (peer, what) => peers.blame(peer, what),
  }),
}

/** Waits for owners that do not say that they work. */
export const waitForSilent: PlantedBug = {
  ...noBug,
  clock: (clock) => ({
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    sleep: (ms, options) => clock.sleep(ms === 100 ? 10 * ms : ms, options),
  }),
}

/** Lets everybody ask upstream. */
export const noOwners: PlantedBug = {
  ...noBug,
  peers: (peers) => ({ ...portOf(peers), owner: () => undefined }),
}

/** Blames whoever does not deliver, whatever the reason. */
export const blameCut: PlantedBug = {
  ...noBug,
  peers: (peers) => ({
    ...portOf(peers),
    fetchZip: async (peer, zipHash, sink, options) => {
      try {
        return await peers.fetchZip(peer, zipHash, sink, options)
      } catch (error) {
        const module = parseModuleVersion('example.com/m1', 'v1.0.0')
        if (error instanceof PeerError) peers.blame(peer, { module, reason: error.message })
        throw error
      }
    },
  }),
}

/** The port as functions that need no `this`. */
function portOf(peers: Peers): Peers {
  return {
    isAlone: () => peers.isAlone(),
    sites: () => peers.sites(),
    siteOf: (peer) => peers.siteOf(peer),
    findRecords: (module, options) => peers.findRecords(module, options),
    findVersions: (path, options) => peers.findVersions(path, options),
    holders: (zipHash) => peers.holders(zipHash),
    findHolders: (zipHash, options) => peers.findHolders(zipHash, options),
    fetchZip: (peer, zipHash, sink, options) => peers.fetchZip(peer, zipHash, sink, options),
    fetchRange: (peer, zipHash, sink, range, options) =>
      peers.fetchRange(peer, zipHash, sink, range, options),
    owner: (key, options) => peers.owner(key, options),
    askOwner: (peer, question, options) => peers.askOwner(peer, question, options),
    fetchComing: (peer, module, sink, options) => peers.fetchComing(peer, module, sink, options),
    blame: (peer, what) => peers.blame(peer, what),
  }
}

/** Syncs neither files nor folders: a power cut takes the last commits along. */
export const skipSync: PlantedBug = {
  ...noBug,
  crash: (disk) => {
    const [last] = [...disk.zips.keys()].slice(-1)
    disk.crash()
    if (last !== undefined) disk.zips.delete(last)
  },
}

/** Tells of a zip before it is durable. */
export const tellEarly: PlantedBug = {
  ...noBug,
  store: (store) =>
    withStaged(store, {
      commit: async (staged, proof) => {
        const held = staged.readable(proof)
        staged.commit(proof).catch(() => {}) // nobody hears of a commit that fails: that is the bug
        return held
      },
    }),
}

interface Changes {
  verify?(
    staged: StagedZip,
    options: { readonly signal: AbortSignal },
  ): ReturnType<StagedZip['verify']>
  discard?(): Promise<void>
  commit?(staged: StagedZip, proof: Proof): Promise<HeldZip>
}

function withStaged(store: ZipStore, changes: Changes): ZipStore {
  return {
    findZip: (module) => store.findZip(module),
    findContent: (zipHash) => store.findContent(zipHash),
    findRecord: (module) => store.findRecord(module),
    putRecord: (record) => store.putRecord(record),
    versions: (path) => store.versions(path),
    contents: () => store.contents(),
    stageZip: async (module) => changed(await store.stageZip(module), changes),
  }
}

function changed(staged: StagedZip, changes: Changes): StagedZip {
  return {
    get size() {
      return staged.size
    },
    write: (chunk) => staged.write(chunk),
    writeAhead: (chunk, position) => staged.writeAhead(chunk, position),
    join: (end) => staged.join(end),
    digest: () => staged.digest(),
    readSoFar: (range) => staged.readSoFar(range),
    reset: () => staged.reset(),
    verify: (expected, options) =>
      changes.verify?.(staged, options) ?? staged.verify(expected, options),
    readable: (proof) => staged.readable(proof),
    commit: (proof) => changes.commit?.(staged, proof) ?? staged.commit(proof),
    discard: () => changes.discard?.() ?? staged.discard(),
  }
}

import { createHash } from 'node:crypto'
import {
  checksumDbContract,
  peersContract,
  remoteStoreContract,
  upstreamContract,
} from '@modmesh/fill/contract'
import {
  FakeClock,
  hashAnything,
  MemoryChecksumDb,
  MemoryLog,
  MemoryPeers,
  MemoryRemoteStore,
  MemoryUpstream,
} from '@modmesh/fill/twins'
import { hashMod, parseModuleVersion } from '@modmesh/module'
import { text } from '../support/world.ts'

const module = parseModuleVersion('example.com/mod', 'v1.0.0')
const missing = parseModuleVersion('example.com/none', 'v1.0.0')
const zip = text('a zip')
const mod = text('module example.com/mod\n')
const info = text('{"Version":"v1.0.0"}')

/** A clock that never stands still for long: what waits goes on by itself. */
function runningClock(): FakeClock {
  const clock = new FakeClock()
  const sleep = clock.sleep.bind(clock)
  clock.sleep = async (ms, options) => {
    const slept = sleep(ms, options)
    void clock.advance(ms)
    await slept
  }
  return clock
}

upstreamContract('the memory twin', async (state) => {
  const upstream = new MemoryUpstream(runningClock())
  const list = text('v1.0.0\n')
  upstream.publish(module, { zip, mod, info })
  upstream.lists.set(module.path, list)
  upstream.latests.set(module.path, info)
  if (state === 'dead') upstream.fault = 'down'
  upstream.isOn = state !== 'off'
  const published = { module, zip, mod, info, list, latest: info }
  return { upstream, published, missing, dispose: async () => {} }
})

checksumDbContract('the memory twin', async (state) => {
  const log = new MemoryLog()
  const sums = { zip: hashAnything(module, zip), mod: hashMod(mod) }
  const { record } = log.add(module, sums)
  const other = parseModuleVersion('example.com/mod', 'v1.1.0')
  const otherRecord = log.add(other, sums).record
  const db = new MemoryChecksumDb(log, runningClock())
  if (state === 'dead') db.fault = 'down'
  const recorded = { module, sums, record }
  const dispose = async () => {}
  return { db, recorded, other: { module: other, record: otherRecord }, missing, dispose }
})

peersContract('the memory twin', async () => {
  const peers = new MemoryPeers(runningClock())
  const zipHash = hashAnything(module, zip)
  const files = { zip: { hash: zipHash, bytes: zip }, mod, info }
  peers.add('holder').holds(module, files)
  const nowhere = { module: missing, zipHash: hashAnything(missing, text('nowhere')) }
  const held = { module, zipHash, zip, mod }
  return { peers, holder: 'holder', held, missing: nowhere, dispose: async () => {} }
})

remoteStoreContract(
  'the memory twin',
  async (state) => {
    const store = new MemoryRemoteStore(runningClock())
    if (state === 'dead') store.bucket.fault = 'down'
    return { store, dispose: async () => {} }
  },
  (bytes) => createHash('sha256').update(bytes).digest('hex'),
)

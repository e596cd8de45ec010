import { DiskStore } from '@modmesh/store'
import { openKeptDatabase } from '../checksum-database.ts'
import { prepareDataDir } from '../data-dir.ts'
import { findClientHeads } from '../go-client-heads.ts'
import { openIdentity } from '../identity.ts'
import { peerIdOf } from '../peer-id.ts'
import type { ReadOptions } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { planStart } from '../start-plan.ts'
import type { BundleComponents } from './answer.ts'
import { BundleLedger } from './ledger.ts'

/** Opens what bundles are made and taken in with where no node runs: nobody is asked then. Throws StoreLockedError. */
export async function openBundleComponents(
  read: ReadOptions,
  around: Surroundings,
): Promise<BundleComponents & AsyncDisposable> {
  const { dir } = read.settings
  await prepareDataDir(dir)
  const plan = await planStart({ ...read, settings: { ...read.settings, join: undefined } })
  await using stack = new AsyncDisposableStack()
  const store = stack.use(await DiskStore.open({ dir }))
  const database = openKeptDatabase(plan, store)
  if (database !== undefined) stack.use(database.client)
  const identity = await openIdentity(dir)
  const own = peerIdOf(identity.subarray(-32))
  const parts = stack.move()
  return {
    store,
    database,
    ledger: new BundleLedger(dir),
    source: undefined,
    prefetch: undefined,
    identity,
    isPrivate: plan.isPrivate,
    clientHeads: async () =>
      database === undefined ? [] : await findClientHeads(database.key, around),
    isMember: (peerId) => peerId === own,
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  }
}

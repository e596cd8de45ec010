import { join } from 'node:path'
import { type ModuleVersion, parseModuleVersion, type ZipHash } from '@modmesh/module'
import { type HeadExchange, MeshNode, type PeerShelf } from '@modmesh/peers'
import { MemoryMembershipStore, newTestIdentity } from '@modmesh/peers/testing'
import { DiskStore } from '@modmesh/store'

/** What is given: a zip of this module, of any content. */
export const givenModule: ModuleVersion = parseModuleVersion('bench.test/transfer', 'v1.0.0')

/** A member with a store of its own: production parts, wired as far as a transfer needs them. */
export interface Member {
  readonly mesh: MeshNode
  readonly store: DiskStore
}

/** Starts a member; with a ticket it joins, and else it is alone until it invites. */
export async function startMember(dir: string, ticket?: string): Promise<Member> {
  const store = await DiskStore.open({ dir: join(dir, 'store') })
  const shelf: PeerShelf = {
    contents: () => store.contents(),
    async *mods() {},
    onAdded: (listener) => store.onCommitted(listener),
    findContent: (zipHash) => store.findContent(zipHash),
    record: async () => undefined,
    versions: async () => [],
    tile: async () => undefined,
  }
  const { privateKey } = await newTestIdentity()
  const mesh = await MeshNode.start(
    { shelf, membership: new MemoryMembershipStore(), heads: noHeads },
    {
      privateKey,
      datastoreDir: join(dir, 'hints'),
      listen: '127.0.0.1:0',
      peers: [],
      mdns: false,
      inventory: true,
      connect: 'all',
    },
  )
  if (ticket !== undefined) await mesh.join(ticket)
  return { mesh, store }
}

/** Puts a zip into a member's store, as upstream's word. */
export async function keepZip({ store }: Member, zip: Uint8Array): Promise<ZipHash> {
  const staged = await store.stageZip(givenModule)
  await staged.write(zip)
  const zipHash = await staged.verify(undefined, { signal: new AbortController().signal })
  await staged.commit({ kind: 'upstream' })
  return zipHash
}

/** Brings a zip from a member into a staged file, as a fill does before it verifies. Returns seconds. */
export async function takeZip(
  { mesh, store }: Member,
  peer: string,
  zipHash: ZipHash,
): Promise<number> {
  const staged = await store.stageZip(givenModule)
  const started = performance.now()
  await mesh.fetchZip(peer, zipHash, staged, { signal: new AbortController().signal })
  const seconds = (performance.now() - started) / 1000
  await staged.discard()
  return seconds
}

const noHeads: HeadExchange = {
  heads: async () => [],
  onHead: () => () => undefined,
  received: () => undefined,
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type HeadExchange, MeshNode, type PeerShelf } from '@modmesh/peers'
import { MemoryMembershipStore, newTestIdentity } from '@modmesh/peers/testing'

type Components = Parameters<typeof MeshNode.start>[0]

/** A member of a mesh in this process, with nothing of ours behind it but what a test gives. */
export interface JoinedMember extends AsyncDisposable {
  readonly node: MeshNode
}

/** Starts one on loopback; it joins with a ticket. */
export async function joinMember(
  ticket: string,
  components: Pick<Components, 'fetcher' | 'privateShelf'> & { readonly shelf?: PeerShelf },
): Promise<JoinedMember> {
  const { privateKey } = await newTestIdentity()
  const datastoreDir = await mkdtemp(join(tmpdir(), 'modmesh-member-'))
  const membership = new MemoryMembershipStore()
  const node = await MeshNode.start(
    { shelf: emptyShelf, ...components, heads: noHeads, membership },
    {
      privateKey,
      datastoreDir,
      listen: '127.0.0.1:0',
      peers: [],
      mdns: false,
      name: 'liar',
      inventory: true,
      connect: 'all',
    },
  )
  await node.join(ticket)
  return {
    node,
    async [Symbol.asyncDispose]() {
      await node.stop()
      await rm(datastoreDir, { recursive: true, force: true })
    },
  }
}

const emptyShelf: PeerShelf = {
  async *contents() {},
  async *mods() {},
  onAdded: () => () => {},
  findContent: async () => undefined,
  record: async () => undefined,
  versions: async () => [],
  tile: async () => undefined,
}

const noHeads: HeadExchange = {
  heads: () => Promise.resolve([]),
  onHead: () => () => {},
  received() {},
}

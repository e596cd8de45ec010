import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PeerId } from '@modmesh/fill'
import type { MeshEvent, MeshInit } from '../../src/mesh-init.ts'
import { MeshNode } from '../../src/mesh-node.ts'
import type { HeadExchange, ReadTile } from '../../src/peer-shelf.ts'
import { MemoryMembershipStore, newTestIdentity } from '../../testing/index.ts'
import { MemoryShelf } from './memory-shelf.ts'

interface ReceivedHead {
  readonly peer: PeerId
  readonly database: string
  readonly note: string
  readonly readTile: ReadTile
}

/** Heads that a test sets and sees. */
class TestHeads implements HeadExchange {
  readonly heard: ReceivedHead[] = []
  readonly #notes = new Map<string, string>()
  readonly #listeners = new Set<() => void>()

  async heads(): Promise<readonly { readonly database: string; readonly note: string }[]> {
    return [...this.#notes].map(([database, note]) => ({ database, note }))
  }

  onHead(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  received(peer: PeerId, database: string, note: string, readTile: ReadTile): void {
    this.heard.push({ peer, database, note, readTile })
  }

  set(database: string, note: string): void {
    this.#notes.set(database, note)
    for (const listener of this.#listeners) listener()
  }
}

/** A mesh node on loopback with a shelf in memory. */
export interface TestNode extends AsyncDisposable {
  readonly node: MeshNode
  readonly shelf: MemoryShelf
  readonly heads: TestHeads
  readonly events: MeshEvent[]
}

/** Starts a node on loopback, without multicast unless asked. */
export async function startNode(
  init: Partial<MeshInit> & { readonly ticket?: string; readonly shelf?: MemoryShelf } = {},
): Promise<TestNode> {
  const { ticket, shelf = new MemoryShelf(), ...given } = init
  const { privateKey } = await newTestIdentity()
  const datastoreDir = await mkdtemp(join(tmpdir(), 'modmesh-node-'))
  const heads = new TestHeads()
  const events: MeshEvent[] = []
  const membership = new MemoryMembershipStore()
  const log = (event: MeshEvent): void => void events.push(event)
  const node = await MeshNode.start(
    { shelf, heads, membership, log },
    {
      privateKey,
      datastoreDir,
      listen: '127.0.0.1:0',
      peers: [],
      mdns: false,
      inventory: true,
      connect: 'all',
      ...given,
    },
  )
  if (ticket !== undefined) await node.join(ticket)
  return {
    node,
    shelf,
    heads,
    events,
    async [Symbol.asyncDispose]() {
      await node.stop()
      await rm(datastoreDir, { recursive: true, force: true })
    },
  }
}

/** Keeps what is written. */
export class MemorySink {
  readonly chunks: Uint8Array[] = []

  async write(chunk: Uint8Array): Promise<void> {
    this.chunks.push(Uint8Array.from(chunk))
  }

  get bytes(): Uint8Array {
    return Buffer.concat(this.chunks)
  }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

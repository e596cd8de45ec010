import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock, PeerId } from '@modmesh/fill'
import { type BodyTimes, bodyTimes } from '../../src/body/limits.ts'
import { type ControlTimes, controlTimes } from '../../src/control/limits.ts'
import type { MeshEvent, MeshInit } from '../../src/mesh-init.ts'
import { MeshNode } from '../../src/mesh-node.ts'
import type { HeadExchange, PrivateShelf, ReadTile, SiteFetcher } from '../../src/peer-shelf.ts'
import { MemoryMembershipStore, newTestIdentity, type TestIdentity } from '../../testing/index.ts'
import { MemoryShelf } from './memory-shelf.ts'

/** What waits for others, as long as a busy machine may need: here nobody is given up for being slow. */
export const patientTimes: ControlTimes & BodyTimes = {
  ...controlTimes,
  ...bodyTimes,
  helloMs: 30_000,
  answerMs: 30_000,
  receiveStallMs: 30_000,
  farReceiveStallMs: 30_000,
  sendStallMs: 30_000,
  lineMs: 30_000,
  connectMs: 30_000,
  ownerQuietMs: 30_000,
}

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

/** What a node finds again after a restart. */
export interface TestStores {
  readonly membership: MemoryMembershipStore
  readonly ledger: MemoryMembershipStore
  readonly roster: MemoryMembershipStore
}

function newStores(): TestStores {
  return {
    membership: new MemoryMembershipStore(),
    ledger: new MemoryMembershipStore(),
    roster: new MemoryMembershipStore(),
  }
}

/** A mesh node on loopback with a shelf in memory. */
export interface TestNode extends AsyncDisposable {
  readonly node: MeshNode
  readonly identity: TestIdentity
  readonly stores: TestStores
  /** Its first address, also after it stopped. */
  readonly address: string
  readonly shelf: MemoryShelf
  readonly heads: TestHeads
  readonly events: MeshEvent[]
}

/** Starts a node on loopback, without multicast unless asked, and patient unless told otherwise. */
export async function startNode(
  init: Partial<MeshInit> & {
    readonly ticket?: string
    readonly shelf?: MemoryShelf
    readonly fetcher?: SiteFetcher
    readonly privateShelf?: PrivateShelf
    readonly identity?: TestIdentity
    readonly stores?: TestStores
    readonly clock?: Clock
  } = {},
): Promise<TestNode> {
  const { ticket, shelf = new MemoryShelf(), identity = await newTestIdentity(), ...rest } = init
  const { stores = newStores(), fetcher, privateShelf, clock, times, ...given } = rest
  const { privateKey } = identity
  const datastoreDir = await mkdtemp(join(tmpdir(), 'modmesh-node-'))
  const heads = new TestHeads()
  const events: MeshEvent[] = []
  const log = (event: MeshEvent): void => void events.push(event)
  const node = await MeshNode.start(
    { shelf, heads, ...stores, fetcher, privateShelf, clock, log },
    {
      privateKey,
      datastoreDir,
      listen: '127.0.0.1:0',
      peers: [],
      mdns: false,
      inventory: true,
      connect: 'all',
      ...given,
      times: { ...patientTimes, ...times },
    },
  )
  if (ticket !== undefined) await node.join(ticket)
  return {
    node,
    identity,
    stores,
    address: node.addresses()[0] ?? '',
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

import {
  type Budgets,
  defaultBudgets,
  type FillEvent,
  ModuleFill,
  type PrivateMesh,
  type ProvenSums,
  type RecordProof,
} from '@modmesh/fill'
import {
  FakeClock,
  type FakePeer,
  hashAnything,
  MemoryAnswers,
  type MemoryBucket,
  MemoryChecksumDb,
  MemoryFirstHashes,
  MemoryLog,
  MemoryPeers,
  MemoryRemoteStore,
  type MemoryStoreInit,
  MemoryUpstream,
  MemoryZipStore,
} from '@modmesh/fill/twins'
import { hashMod, type ModuleVersion, parseModuleVersion } from '@modmesh/module'
import { afterEach, expect } from 'vitest'

/** What a test may set up differently. */
export interface WorldInit {
  readonly budgets?: Partial<Budgets>
  readonly isPrivate?: (path: string) => boolean
  readonly ttlMs?: number
  readonly negativeTtlMs?: number
  readonly store?: MemoryStoreInit
  /** Without one there is no remote store. */
  readonly bucket?: MemoryBucket
  readonly random?: () => number
  /** Members that may have private modules; without them nobody is asked. */
  readonly privateMesh?: (clock: FakeClock) => PrivateMesh
  /** What an earlier run kept. */
  readonly answers?: MemoryAnswers
  /** At the start, milliseconds since 1970. */
  readonly wallMs?: number
}

/** A module version with all its files and the record that proves them. */
export interface Release {
  readonly module: ModuleVersion
  readonly zip: Uint8Array
  readonly mod: Uint8Array
  readonly info: Uint8Array
  readonly sums: ProvenSums & { readonly record: RecordProof }
}

/** One node with scripted neighbours on a clock that stands still. */
export class World {
  readonly clock: FakeClock
  readonly log = new MemoryLog()
  readonly peers: MemoryPeers
  readonly upstream: MemoryUpstream
  readonly db: MemoryChecksumDb
  readonly answers: MemoryAnswers
  readonly firstHashes = new MemoryFirstHashes()
  readonly events: FillEvent[] = []
  readonly store: MemoryZipStore
  readonly remote: MemoryRemoteStore | undefined
  readonly fill: ModuleFill

  constructor(init: WorldInit = {}) {
    this.store = new MemoryZipStore(init.store)
    this.clock = new FakeClock(init.wallMs === undefined ? {} : { wallMs: init.wallMs })
    this.peers = new MemoryPeers(this.clock)
    this.upstream = new MemoryUpstream(this.clock)
    this.db = new MemoryChecksumDb(this.log, this.clock)
    this.answers = init.answers ?? new MemoryAnswers()
    this.remote = init.bucket && new MemoryRemoteStore(this.clock, init.bucket)
    const { clock, peers, upstream, store, remote, answers, firstHashes, db: checksumDb } = this
    const random = init.random === undefined ? {} : { random: init.random }
    const privateMesh = init.privateMesh?.(clock)
    this.fill = new ModuleFill(
      {
        clock,
        peers,
        upstream,
        store,
        remote,
        answers,
        firstHashes,
        checksumDb,
        privateMesh,
        ...random,
      },
      {
        budgets: { ...defaultBudgets, ...init.budgets },
        isPrivate: init.isPrivate ?? (() => false),
        onEvent: (event) => this.events.push(event),
        ttlMs: init.ttlMs ?? 60_000,
        negativeTtlMs: init.negativeTtlMs ?? 10_000,
      },
    )
    worlds.push(this)
  }

  /** Makes a release that exists in the log. `size` is that of its zip, bytes. */
  release(version = 'v1.0.0', path = 'example.com/mod', size = 1000): Release {
    const module = parseModuleVersion(path, version)
    const zip = new Uint8Array(size).fill(version.length + path.length)
    zip.set(text(`zip of ${path}@${version}`).subarray(0, size))
    const mod = text(`module ${path}\n// ${version}\n`)
    const info = text(`{"Version":"${version}","Time":"2024-05-06T07:08:09Z"}`)
    const sums = this.log.add(module, { zip: hashAnything(module, zip), mod: hashMod(mod) })
    return { module, zip, mod, info, sums }
  }

  /** As `release`, and upstream has it. */
  publish(version?: string, path?: string, size?: number): Release {
    const release = this.release(version, path, size)
    this.upstream.publish(release.module, release)
    return release
  }

  /** A peer that holds all of a release. */
  holder(id: string, release: Release, options: { readonly withZip?: boolean } = {}): FakePeer {
    const peer = this.peers.peers.find((each) => each.id === id) ?? this.peers.add(id)
    const hash = release.sums.zip
    if (hash === undefined) throw new Error('a release without zip')
    const zip = { hash, bytes: release.zip }
    const { mod, info } = release
    const files = { mod, info, record: release.sums.record }
    peer.holds(release.module, options.withZip === false ? files : { ...files, zip })
    return peer
  }

  /** Moves time on until the work is done, and tells how long it took. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isDone = false
    const end = () => {
      isDone = true
    }
    work.then(end, end)
    await this.clock.settle()
    while (!isDone) {
      if (!(await this.clock.step())) throw new Error('stuck: nothing will ever happen')
    }
    return await work
  }

  /** As `run`, for work that must fail. */
  async failure(work: Promise<unknown>): Promise<Error & { readonly code?: string }> {
    try {
      await this.run(work)
    } catch (error) {
      if (error instanceof Error) return error
    }
    throw new Error('it did not fail')
  }

  kinds(): string[] {
    return this.events.map((event) => event.kind)
  }

  blamed(): string[] {
    return this.peers.blamed.map((each) => each.peer)
  }
}

const worlds: World[] = []

/** Whatever a test did: after the end nothing is left, no timer, no staged zip (invariant I11). */
afterEach(async () => {
  for (const world of worlds.splice(0)) {
    await world.run(world.fill[Symbol.asyncDispose]())
    await world.clock.settle()
    expect(world.clock.pending).toBe(0)
    expect(world.store.staged).toBe(0)
  }
})

export const patient: { readonly signal: AbortSignal } = { signal: new AbortController().signal }

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

export function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

export async function bytesOf(zip: { read(): AsyncIterable<Uint8Array> }): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of zip.read()) chunks.push(chunk)
  return new Uint8Array(Buffer.concat(chunks))
}

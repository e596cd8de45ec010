import { type ModuleVersion, parseZipDigest, type ZipHash } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { PeerError } from '../src/errors.ts'
import type { PeerId, Peers, ResumePoint, ZipFetchOptions } from '../src/peers.ts'
import type { ByteSink } from '../src/zip-store.ts'

/** A mesh under test: one honest peer that is connected and holds one module version with all its files. */
export interface OpenPeers {
  readonly peers: Peers
  readonly holder: PeerId
  readonly held: {
    readonly module: ModuleVersion
    readonly zipHash: ZipHash
    readonly zip: Uint8Array
    readonly mod: Uint8Array
  }
  /** What nobody holds. */
  readonly missing: { readonly module: ModuleVersion; readonly zipHash: ZipHash }
  readonly dispose: () => Promise<void>
}

/** What every Peers promises. */
export function peersContract(name: string, open: () => Promise<OpenPeers>): void {
  const using = async (use: (opened: OpenPeers) => Promise<void>) => {
    const opened = await open()
    try {
      await use(opened)
    } finally {
      await opened.dispose()
    }
  }

  describe(`${name} keeps the contract of Peers`, () => {
    test('with a peer nobody is alone', async () => {
      await using(async ({ peers }) => {
        expect(peers.isAlone()).toBe(false)
      })
    })

    test('a record of what is held comes with its go.mod and says that the zip is there', async () => {
      await using(async ({ peers, holder, held }) => {
        const records = await collect(peers.findRecords(held.module, never))
        expect(records).toHaveLength(1)
        expect(records[0]).toMatchObject({ peer: holder, module: held.module, holdsZip: true })
        expect(Buffer.from(records[0]?.mod ?? [])).toEqual(Buffer.from(held.mod))
      })
    })

    test('questions about what nobody holds end without an answer', async () => {
      await using(async ({ peers, missing }) => {
        const records = await collect(peers.findRecords(missing.module, never))
        expect(records.filter((record) => record.holdsZip)).toEqual([])
        expect(peers.holders(missing.zipHash)).toEqual([])
        expect(await collect(peers.findHolders(missing.zipHash, never))).toEqual([])
      })
    })

    test('versions held are named', async () => {
      await using(async ({ peers, holder, held }) => {
        const named = await collect(peers.findVersions(held.module.path, never))
        expect(named).toEqual([{ peer: holder, versions: [held.module.version] }])
      })
    })

    test('the holder is known and delivers every byte', async () => {
      await using(async ({ peers, holder, held }) => {
        const found = await collect(peers.findHolders(held.zipHash, never))
        const known = [...peers.holders(held.zipHash), ...found].map((each) => each.peer)
        expect(new Set(known)).toEqual(new Set([holder]))
        const chunks: Uint8Array[] = []
        const sink = {
          write: async (chunk: Uint8Array) => {
            chunks.push(chunk.slice())
          },
        }
        let begun = 0
        const options = { ...never, onFirstByte: () => begun++ }
        const { size } = await peers.fetchZip(holder, held.zipHash, sink, options)
        expect(Buffer.concat(chunks)).toEqual(Buffer.from(held.zip))
        expect(size).toBe(held.zip.length)
        expect(begun).toBe(1)
      })
    })

    test('a fetch goes on from where another one came, and brings nothing twice', async () => {
      await using(async ({ peers, holder, held }) => {
        const first = new Collector()
        const all = await peers.fetchZip(holder, held.zipHash, first, first.options())
        const next = new Collector(first)
        expect(next.from).toMatchObject({ zipDigest: all.zipDigest, size: held.zip.length })
        expect(await peers.fetchZip(holder, held.zipHash, next, next.options())).toEqual(all)
        expect(next.bytes).toHaveLength(0)
        expect(next.resets).toEqual([])
      })
    })

    test('a fetch does not go on from other bytes', async () => {
      await using(async ({ peers, holder, held }) => {
        const sink = new Collector()
        const from = { zipDigest: parseZipDigest('5'.repeat(64)), size: 1 }
        await peers.fetchZip(holder, held.zipHash, sink, sink.options(from))
        expect(sink.resets).toEqual(['other-bytes'])
        expect(Buffer.from(sink.bytes)).toEqual(Buffer.from(held.zip))
      })
    })

    test('what the peer lacks it is unable to give, without fault', async () => {
      await using(async ({ peers, holder, missing }) => {
        const sink = { write: async () => {} }
        const fetching = peers.fetchZip(holder, missing.zipHash, sink, never)
        await expect(fetching).rejects.toBeInstanceOf(PeerError)
        await expect(fetching).rejects.toMatchObject({ peer: holder, fault: 'unable' })
      })
    })

    test('a fetch ends with its signal', async () => {
      await using(async ({ peers, holder, held }) => {
        const sink = { write: async () => {} }
        const options = { signal: AbortSignal.abort(new Error('gone')) }
        await expect(peers.fetchZip(holder, held.zipHash, sink, options)).rejects.toThrow()
      })
    })
  })
}

/** Keeps a body, and how far it has come. */
class Collector implements ByteSink {
  bytes: Uint8Array = new Uint8Array()
  readonly resets: string[] = []
  readonly from: ResumePoint | undefined
  #point: (() => ResumePoint) | undefined

  constructor(before?: Collector) {
    this.from = before?.point
  }

  get point(): ResumePoint | undefined {
    return this.#point?.()
  }

  async write(chunk: Uint8Array): Promise<void> {
    this.bytes = Buffer.concat([this.bytes, chunk])
  }

  options(from: ResumePoint | undefined = this.from): ZipFetchOptions {
    const onBody = (point: () => ResumePoint) => {
      this.#point = point
    }
    const onReset = async (why: string) => {
      this.resets.push(why)
      this.bytes = new Uint8Array()
    }
    return { ...never, resume: { from, onBody, onReset } }
  }
}

const never: { readonly signal: AbortSignal } = { signal: new AbortController().signal }

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const each of source) all.push(each)
  return all
}

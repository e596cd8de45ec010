import type { ModuleVersion, ZipHash } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { PeerError } from '../src/errors.ts'
import type { PeerId, Peers } from '../src/peers.ts'

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

const never: { readonly signal: AbortSignal } = { signal: new AbortController().signal }

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const each of source) all.push(each)
  return all
}

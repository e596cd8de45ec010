import {
  type ModuleVersion,
  parseModuleVersion,
  parseZipDigest,
  parseZipHash,
} from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import type { RecordProof } from '../src/checksum-db.ts'
import { RemoteError } from '../src/errors.ts'
import type { RemoteObject, RemoteStore } from '../src/remote-store.ts'
import type { HeldZip } from '../src/zip-store.ts'

/** A remote store under test, empty unless it is opened on the bucket of another one. */
export interface OpenRemote {
  readonly store: RemoteStore
  readonly dispose: () => Promise<void>
}

/** What every RemoteStore promises. `digestOf` gives the SHA-256 of bytes as hex. */
export function remoteStoreContract(
  name: string,
  open: (state: 'well' | 'dead') => Promise<OpenRemote>,
  digestOf: (bytes: Uint8Array) => string,
): void {
  const using = async (state: 'well' | 'dead', use: (store: RemoteStore) => Promise<void>) => {
    const opened = await open(state)
    try {
      await use(opened.store)
    } finally {
      await opened.dispose()
    }
  }
  const zipOf = (size: number): Extract<RemoteObject, { readonly part: 'zip' }> => {
    const bytes = new Uint8Array(size).map((_, at) => (at * 7) % 251)
    return { part: 'zip', module, zip: heldZip(bytes, digestOf(bytes)) }
  }

  describe(`${name} keeps the contract of a RemoteStore`, () => {
    test('it shows no credentials in its name', async () => {
      await using('well', async (store) => {
        expect(store.name).not.toMatch(/@|secret/i)
        expect(store.canWrite()).toBe(true)
      })
    })

    test('what it lacks is absent', async () => {
      await using('well', async (store) => {
        expect(await store.fetchFile(module, 'mod', never)).toBeUndefined()
        expect(await store.fetchFile(module, 'info', never)).toBeUndefined()
        expect(await store.fetchRecord(module, never)).toBeUndefined()
        expect(await readZip(store, module)).toBeUndefined()
      })
    })

    test('it gives back what was written, part by part', async () => {
      await using('well', async (store) => {
        const zip = zipOf(300_000)
        for (const object of [...small, zip]) {
          expect(await store.write(object, { ...never, overwrite: false })).toBe('written')
        }
        expect(asText(await store.fetchFile(module, 'mod', never))).toBe('module m\n')
        expect(asText(await store.fetchFile(module, 'info', never))).toBe('{}')
        const read = await store.fetchRecord(module, never)
        expect(read && { ...read, hashes: read.hashes.map((hash) => [...hash]) }).toEqual({
          ...record,
          hashes: record.hashes.map((hash) => [...hash]),
        })
        expect(await readZip(store, module)).toEqual(await bytesOf(zip.zip))
      })
    })

    test('what exists stays as it is, unless it is to be replaced', async () => {
      await using('well', async (store) => {
        const first = { part: 'mod', module, bytes: encode('first\n') } as const
        const second = { part: 'mod', module, bytes: encode('second\n') } as const
        await store.write(first, { ...never, overwrite: false })
        expect(await store.write(second, { ...never, overwrite: false })).toBe('exists')
        expect(asText(await store.fetchFile(module, 'mod', never))).toBe('first\n')
        expect(await store.write(second, { ...never, overwrite: true })).toBe('written')
        expect(asText(await store.fetchFile(module, 'mod', never))).toBe('second\n')
        const [zip, other] = [zipOf(1_000), zipOf(2_000)]
        await store.write(zip, { ...never, overwrite: false })
        expect(await store.write(other, { ...never, overwrite: false })).toBe('exists')
        expect(await readZip(store, module)).toHaveLength(1_000)
        expect(await store.write(other, { ...never, overwrite: true })).toBe('written')
        expect(await readZip(store, module)).toHaveLength(2_000)
      })
    })

    test('names that differ in case or hold every allowed sign are kept apart', async () => {
      await using('well', async (store) => {
        for (const [at, each] of odd.entries()) {
          const object = { part: 'mod', module: each, bytes: encode(`${at}`) } as const
          expect(await store.write(object, { ...never, overwrite: false })).toBe('written')
        }
        for (const [at, each] of odd.entries()) {
          expect(asText(await store.fetchFile(each, 'mod', never))).toBe(`${at}`)
        }
      })
    })

    test('dead it is unable, which is not absent', async () => {
      await using('dead', async (store) => {
        const object = { part: 'mod', module, bytes: encode('module m\n') } as const
        const asks = [
          () => store.fetchFile(module, 'mod', never),
          () => store.fetchRecord(module, never),
          () => readZip(store, module),
          () => store.write(object, { ...never, overwrite: false }),
        ]
        for (const ask of [...asks, ...asks]) {
          const error = await ask().then(
            () => undefined,
            (thrown: unknown) => thrown,
          )
          expect(error).toBeInstanceOf(RemoteError)
          expect(error).toMatchObject({ fault: 'unable' })
        }
      })
    })

    test('it ends with the signal', async () => {
      await using('well', async (store) => {
        const gone = { signal: AbortSignal.abort(new Error('gone')) }
        const object = { part: 'mod', module, bytes: encode('module m\n') } as const
        await expect(store.fetchFile(module, 'mod', gone)).rejects.toThrow('gone')
        await expect(store.fetchRecord(module, gone)).rejects.toThrow('gone')
        await expect(store.write(object, { ...gone, overwrite: false })).rejects.toThrow('gone')
      })
    })

    test('a sink that fails ends the fetch with its own error', async () => {
      await using('well', async (store) => {
        await store.write(zipOf(5_000), { ...never, overwrite: false })
        const sink = { write: () => Promise.reject(new Error('disk full')) }
        const options = { ...never, onReset: async () => {} }
        await expect(store.fetchZip(module, sink, options)).rejects.toThrow('disk full')
        expect(await readZip(store, module)).toHaveLength(5_000)
      })
    })
  })
}

const module = parseModuleVersion('example.com/mod', 'v1.0.0')
const odd: readonly ModuleVersion[] = [
  parseModuleVersion('example.com/Mod', 'v1.0.0'),
  parseModuleVersion('example.com/mod', 'v1.0.0'),
  parseModuleVersion('example.com/mod', 'v1.0.0-RC.1'),
  parseModuleVersion('example.com/mod', 'v1.0.0-rc.1'),
  parseModuleVersion('example.com/mod', 'v2.0.0+incompatible'),
  parseModuleVersion('example.com/a-b_c.d~e/mod', 'v1.0.0'),
  parseModuleVersion('example.com/mod/v2', 'v2.0.0'),
]
const record: RecordProof = {
  database: 'sum.example.com',
  id: 41,
  text: 'example.com/mod v1.0.0 h1:AAAA\nexample.com/mod v1.0.0/go.mod h1:BBBB\n',
  hashes: [new Uint8Array(32).fill(1), new Uint8Array(32).fill(255)],
  head: 'go.sum database tree\n42\nAAAA\n\n— sum.example.com AAAA\n',
}
const small: readonly RemoteObject[] = [
  { part: 'mod', module, bytes: encode('module m\n') },
  { part: 'info', module, bytes: encode('{}') },
  { part: 'record', module, record },
]
const never: { readonly signal: AbortSignal } = { signal: new AbortController().signal }

function heldZip(bytes: Uint8Array, digest: string): HeldZip {
  return {
    module,
    zipHash: parseZipHash(`h1:${'A'.repeat(43)}=`),
    zipDigest: parseZipDigest(digest),
    size: bytes.length,
    proof: { kind: 'go-sum' },
    async *read() {
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.slice(at, at + 65_536)
    },
  }
}

async function readZip(store: RemoteStore, from: ModuleVersion): Promise<Uint8Array | undefined> {
  let chunks: Uint8Array[] = []
  const sink = {
    write: async (chunk: Uint8Array) => {
      chunks.push(chunk.slice())
    },
  }
  const onReset = async () => {
    chunks = []
  }
  const found = await store.fetchZip(from, sink, { ...never, onReset })
  return found ? new Uint8Array(Buffer.concat(chunks)) : undefined
}

async function bytesOf(zip: HeldZip): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of zip.read()) chunks.push(chunk)
  return new Uint8Array(Buffer.concat(chunks))
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function asText(bytes: Uint8Array | undefined): string | undefined {
  return bytes && new TextDecoder().decode(bytes)
}

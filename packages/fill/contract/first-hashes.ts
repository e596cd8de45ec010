import { hashMod, parseModuleVersion, zipHashFromBytes } from '@modmesh/module'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { FirstHash, FirstHashes } from '../src/first-hashes.ts'

/** First hashes under test. */
export interface OpenFirstHashes {
  readonly hashes: FirstHashes
  /** Opens the same place again, as after a kill. */
  readonly reopen: () => Promise<FirstHashes>
  readonly dispose?: () => Promise<void>
}

const module = parseModuleVersion('corp.example.com/Team/lib', 'v1.0.0')
const other = parseModuleVersion('corp.example.com/Team/lib', 'v1.1.0')
const zip = zipHashFromBytes(new Uint8Array(32).fill(1))
const mod = hashMod(new Uint8Array(2))

/** What every FirstHashes promises. */
export function firstHashesContract(name: string, open: () => Promise<OpenFirstHashes>): void {
  describe(`${name} keeps the contract of FirstHashes`, () => {
    let opened: OpenFirstHashes
    beforeEach(async () => {
      opened = await open()
    })
    afterEach(async () => await opened.dispose?.())

    const read = async (from: FirstHashes, of = module): Promise<FirstHash | undefined> => {
      let found: FirstHash | undefined
      await from.update(of, (kept) => {
        found = kept
        return kept
      })
      return found
    }

    test('what was never seen is undefined', async () => {
      expect(await read(opened.hashes)).toBeUndefined()
    })

    test('what was kept is found again, of that version alone', async () => {
      const changed = { mod, from: 'direct', atMs: 1_700_000_000_000 }
      const entry = { module, zip, mod, changed }
      await opened.hashes.update(module, () => entry)
      expect(await read(opened.hashes)).toEqual(entry)
      expect(await read(opened.hashes, other)).toBeUndefined()
    })

    test('who vouches for it is found again, byte by byte', async () => {
      const publisher = { peer: '12D3KooWalice', name: 'alice', atMs: 1_700_000_000_000 }
      const statement = Uint8Array.from({ length: 300 }, (_, at) => at)
      const acceptedMs = 1_700_000_000_001
      const entry = { module, zip, mod, acceptedMs, published: { publisher, statement } }
      await opened.hashes.update(module, () => entry)
      expect(await read(opened.hashes)).toEqual(entry)
      expect(await read(await opened.reopen())).toEqual(entry)
    })

    test('changes at the same time see one another', async () => {
      const { hashes } = opened
      await Promise.all([
        hashes.update(module, (kept) => ({ ...kept, module, zip })),
        hashes.update(module, (kept) => ({ ...kept, module, mod })),
        hashes.update(other, (kept) => ({ ...kept, module: other, mod })),
      ])
      expect(await read(hashes)).toEqual({ module, zip, mod })
      expect(await read(hashes, other)).toEqual({ module: other, mod })
    })

    test('nothing is kept of what is given up', async () => {
      await opened.hashes.update(module, () => ({ module, zip }))
      await opened.hashes.update(module, () => undefined)
      expect(await read(opened.hashes)).toBeUndefined()
    })

    test('a change that throws changes nothing', async () => {
      await opened.hashes.update(module, () => ({ module, zip }))
      const failing = opened.hashes.update(module, () => {
        throw new Error('made up')
      })
      await expect(failing).rejects.toThrow('made up')
      expect(await read(opened.hashes)).toEqual({ module, zip })
    })

    test('what was kept outlives the process', async () => {
      await opened.hashes.update(module, () => ({ module, zip }))
      await opened.hashes.update(other, () => ({ module: other, mod }))
      const hashes = await opened.reopen()
      expect(await read(hashes)).toEqual({ module, zip })
      expect(await read(hashes, other)).toEqual({ module: other, mod })
    })
  })
}

import type { ModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import type { ChecksumDb, ProvenSums, RecordProof } from '../src/checksum-db.ts'

/** A checksum database under test, fresh: nothing is known to it. */
export interface OpenChecksumDb {
  readonly db: ChecksumDb
  /** A module version in the log, what it hashes to, and a proof as a peer would send it. */
  readonly recorded: {
    readonly module: ModuleVersion
    readonly sums: Pick<ProvenSums, 'zip' | 'mod'>
    readonly record: RecordProof
  }
  /** Another one in the log, with its proof. */
  readonly other: { readonly module: ModuleVersion; readonly record: RecordProof }
  /** One that is not in the log. */
  readonly missing: ModuleVersion
  readonly dispose: () => Promise<void>
}

/** What every ChecksumDb promises. */
export function checksumDbContract(
  name: string,
  open: (state: 'well' | 'dead') => Promise<OpenChecksumDb>,
): void {
  const using = async (state: 'well' | 'dead', use: (opened: OpenChecksumDb) => Promise<void>) => {
    const opened = await open(state)
    try {
      await use(opened)
    } finally {
      await opened.dispose()
    }
  }

  describe(`${name} keeps the contract of a ChecksumDb`, () => {
    test('a lookup gives both hashes with their proof, and they are known from then on', async () => {
      await using('well', async ({ db, recorded: { module, sums } }) => {
        expect(await db.known(module)).toBeUndefined()
        const found = await db.lookup(module, never)
        expect(found).toMatchObject({ ...sums, proof: { kind: 'checksum-db' } })
        expect(await db.known(module)).toMatchObject(sums)
      })
    })

    test('what is not in the log is told by its code', async () => {
      await using('well', async ({ db, missing }) => {
        await expect(db.lookup(missing, never)).rejects.toMatchObject({ code: 'SUMDB_NOT_FOUND' })
      })
    })

    test('a database that cannot be asked is told by its code', async () => {
      await using('dead', async ({ db, recorded }) => {
        const looking = db.lookup(recorded.module, never)
        await expect(looking).rejects.toMatchObject({ code: 'SUMDB_UNAVAILABLE' })
      })
    })

    test('a record of a peer is proven, and known from then on', async () => {
      await using('well', async ({ db, recorded: { module, sums, record } }) => {
        expect(await db.verifyRecord(module, record, never)).toMatchObject(sums)
        expect(await db.known(module)).toMatchObject(sums)
      })
    })

    test('a changed record is untrusted, and nothing is known by it', async () => {
      await using('well', async ({ db, recorded: { module, record } }) => {
        const text = `${record.text.slice(0, -3)}x=\n`
        const verifying = db.verifyRecord(module, { ...record, text }, never)
        await expect(verifying).rejects.toMatchObject({ code: 'SUMDB_UNTRUSTED' })
        expect(await db.known(module)).toBeUndefined()
      })
    })

    test("another module's record is untrusted, though it is in the log", async () => {
      await using('well', async ({ db, recorded, other }) => {
        const verifying = db.verifyRecord(recorded.module, other.record, never)
        await expect(verifying).rejects.toMatchObject({ code: 'SUMDB_UNTRUSTED' })
        expect(await db.known(recorded.module)).toBeUndefined()
      })
    })

    test('a record under a head that nobody signed is untrusted', async () => {
      await using('well', async ({ db, recorded: { module, record } }) => {
        const head = 'go.sum database tree\n1\nAAAA\n\n'
        const verifying = db.verifyRecord(module, { ...record, head }, never)
        await expect(verifying).rejects.toMatchObject({ code: 'SUMDB_UNTRUSTED' })
      })
    })
  })
}

const never: { readonly signal: AbortSignal } = { signal: new AbortController().signal }

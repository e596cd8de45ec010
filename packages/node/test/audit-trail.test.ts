import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Answer, AskOptions, HeldZip, ModuleSource, Source } from '@modmesh/fill'
import { hash1, type ModuleVersion, parseModuleVersion, parseZipDigest } from '@modmesh/module'
import { machineClock } from '@modmesh/peers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AuditTrail } from '../src/audit-trail.ts'

const module = parseModuleVersion('example.com/m', 'v1.0.0')
const upstream: Source = { kind: 'upstream', from: 'https://up.example' }
const { signal } = new AbortController()

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modmesh-audit-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function heldZip(of: ModuleVersion): Promise<HeldZip> {
  return {
    module: of,
    zipHash: await hash1([], () => {
      throw new Error('there is no file')
    }),
    zipDigest: parseZipDigest('ab'.repeat(32)),
    size: 5,
    proof: { kind: 'checksum-db', database: 'sum.test', record: 7 },
    read: () => {
      throw new Error('nobody reads it')
    },
  }
}

/** A source whose zips come when told. */
function source(answer: (options: AskOptions) => Promise<Answer<HeldZip>>): ModuleSource {
  const none = (): never => {
    throw new Error('not asked here')
  }
  const rest = { mod: none, info: none, list: none, latest: none, query: none, sums: none }
  return { ...rest, zip: (_, options) => answer(options) }
}

async function audited(run: (trail: AuditTrail) => Promise<void>): Promise<unknown[]> {
  const errors: unknown[] = []
  {
    await using trail = await AuditTrail.open(
      { store: { findZip: heldZip }, clock: machineClock },
      { dir: folder, onError: (error) => errors.push(error) },
    )
    await run(trail)
  }
  expect(errors).toEqual([])
  const text = await readFile(join(folder, 'audit', 'audit.jsonl'), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
}

function client(address: string): AskOptions {
  return { signal, asker: { kind: 'client', address } }
}

const committed = { kind: 'committed', module, source: upstream, bytes: 5 } as const

describe('the audit file', () => {
  test('has one line for a module version that came in: who, from where, by which proof', async () => {
    const zip = await heldZip(module)
    const lines = await audited(async (trail) => {
      const watched = trail.watch(source(async () => ({ value: zip, source: upstream })))
      await watched.zip(module, client('127.0.0.1'))
      await watched.zip(module, client('10.0.0.9'))
      trail.record(committed)
    })
    expect(lines).toEqual([
      {
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u),
        module: 'example.com/m',
        version: 'v1.0.0',
        zipHash: zip.zipHash,
        zipDigest: zip.zipDigest,
        size: 5,
        asker: { kind: 'client', address: '127.0.0.1' },
        source: upstream,
        proof: zip.proof,
      },
    ])
  })

  test('names who caused the fill, not who had it from the store before', async () => {
    const zip = await heldZip(module)
    const lines = await audited(async (trail) => {
      let from: Source = { kind: 'store' }
      const watched = trail.watch(source(async () => ({ value: zip, source: from })))
      await watched.zip(module, client('10.0.0.1'))
      from = upstream
      await watched.zip(module, client('10.0.0.2'))
      from = { kind: 'store' }
      await watched.zip(module, client('10.0.0.3'))
      trail.record(committed)
    })
    expect(lines).toMatchObject([{ asker: { address: '10.0.0.2' } }])
  })

  test('names a client that went away before the end, and not one that was refused', async () => {
    const lines = await audited(async (trail) => {
      const gone = new AbortController()
      const watched = trail.watch(source(() => Promise.reject(new Error('no'))))
      await expect(watched.zip(module, client('10.0.0.1'))).rejects.toThrow('no')
      gone.abort()
      const left = { ...client('10.0.0.2'), signal: gone.signal }
      await expect(watched.zip(module, left)).rejects.toThrow('no')
      trail.record(committed)
    })
    expect(lines).toMatchObject([{ asker: { address: '10.0.0.2' } }])
  })

  test('says null for what nobody asked for, and nothing of what was not kept', async () => {
    const other = parseModuleVersion('example.com/other', 'v1.0.0')
    const lines = await audited(async (trail) => {
      trail.record({ kind: 'store-failed', module: other, error: new Error('full') })
      trail.record(committed)
    })
    expect(lines).toMatchObject([{ module: 'example.com/m', asker: null }])
  })
})

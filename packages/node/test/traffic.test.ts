import type { FillEvent, Source } from '@modmesh/fill'
import { ModuleNotFoundError, UpstreamUnavailableError } from '@modmesh/fill'
import { parseModulePath, parseModuleVersion } from '@modmesh/module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Traffic } from '../src/traffic.ts'

const path = parseModulePath('example.com/m')
const module = parseModuleVersion('example.com/m', 'v1.0.0')

function setUp(): { traffic: Traffic; clock: { ms: number } } {
  const clock = { ms: 1_000_000 }
  const traffic = new Traffic({ wallMs: () => clock.ms, monotonicMs: () => clock.ms })
  return { traffic, clock }
}

function answered(source: Source, bytes: number): FillEvent {
  return { kind: 'answered', what: 'zip', path, version: 'v1.0.0', source, bytes, tookMs: 1 }
}

describe('traffic', () => {
  test('is counted by source', () => {
    const { traffic } = setUp()
    traffic.record(answered({ kind: 'store' }, 5))
    traffic.record(answered({ kind: 'peer', peer: 'p' }, 7))
    traffic.record(answered({ kind: 'peer', peer: 'q' }, 9))
    expect(traffic.report().sinceStart).toEqual({
      store: { answers: 1, bytes: 5 },
      peer: { answers: 2, bytes: 16 },
      remote: { answers: 0, bytes: 0 },
      upstream: { answers: 0, bytes: 0 },
      direct: { answers: 0, bytes: 0 },
      held: { answers: 0, bytes: 0 },
      stale: { answers: 0, bytes: 0 },
    })
  })

  test('between members of a site is counted by how it ended', () => {
    const { traffic } = setUp()
    const asked = { what: 'mod', path, version: 'v1.0.0', tookMs: 1 } as const
    for (const outcome of ['answered', 'answered', 'silent', 'lied'] as const) {
      traffic.record({ kind: 'owner-asked', owner: 'p', ...asked, outcome })
    }
    traffic.record({ kind: 'site-answered', peer: 'q', ...asked, outcome: 'nothing' })
    const { site, sinceStart } = traffic.report()
    expect(site.asked).toMatchObject({ answered: 2, silent: 1, lied: 1, failed: 0 })
    expect(site.answered).toEqual({ answered: 0, nothing: 1, declined: 0, failed: 0 })
    // Questions are no answers: a client's request is counted once.
    expect(Object.values(sinceStart).every(({ answers }) => answers === 0)).toBe(true)
  })

  test('is counted by level, "not found" that was known among them', () => {
    const { traffic } = setUp()
    traffic.record(answered({ kind: 'store', level: 'memory' }, 5))
    traffic.record(answered({ kind: 'store', level: 'memory' }, 5))
    traffic.record(answered({ kind: 'store' }, 5))
    traffic.record(answered({ kind: 'stale', why: 'slow' }, 5))
    traffic.record(answered({ kind: 'upstream', from: 'u' }, 5))
    const error = new ModuleNotFoundError('no')
    const failed = { kind: 'failed', what: 'list', path, version: undefined, error } as const
    traffic.record({ ...failed, tookMs: 1 })
    traffic.record({ ...failed, isRemembered: true, tookMs: 0 })
    const none = { peer: 0, remote: 0, direct: 0, held: 0 }
    expect(traffic.report()).toMatchObject({
      levels: { ...none, memory: 2, disk: 1, stale: 1, upstream: 1, negative: 1 },
      sinceStart: { store: { answers: 3, bytes: 15 }, stale: { answers: 1, bytes: 5 } },
      failed: 2,
    })
  })

  test('of all levels but known failures adds up to the answers, whatever came', () => {
    const source = fc.constantFrom<Source>(
      { kind: 'store' },
      { kind: 'store', level: 'memory' },
      { kind: 'peer', peer: 'p' },
      { kind: 'remote', from: 's3' },
      { kind: 'upstream', from: 'u' },
      { kind: 'direct' },
      { kind: 'held' },
      { kind: 'stale', why: 'not-asked' },
    )
    const error = new ModuleNotFoundError('no')
    const failed = {
      kind: 'failed',
      what: 'mod',
      path,
      version: 'v1.0.0',
      error,
      tookMs: 1,
    } as const
    const event = fc.oneof(
      source.map((from) => answered(from, 1)),
      fc.constantFrom<FillEvent>(failed, { ...failed, isRemembered: true }),
    )
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const { traffic } = setUp()
        for (const each of events) traffic.record(each)
        const { levels, sinceStart, failed: failures } = traffic.report()
        const { negative, memory, disk, ...others } = levels
        const answers = Object.values(sinceStart).reduce((sum, each) => sum + each.answers, 0)
        expect(Object.values(others).reduce((sum, n) => sum + n, memory + disk)).toBe(answers)
        expect(sinceStart.store.answers).toBe(memory + disk)
        expect(answers + failures).toBe(events.length)
        expect(negative).toBeLessThanOrEqual(failures)
      }),
    )
  })

  test('leaves the last hour after an hour and stays in the total', () => {
    const { traffic, clock } = setUp()
    traffic.record(answered({ kind: 'store' }, 5))
    clock.ms += 59 * 60_000
    traffic.record(answered({ kind: 'store' }, 6))
    expect(traffic.report().lastHour.store.bytes).toBe(11)
    clock.ms += 2 * 60_000
    expect(traffic.report().lastHour.store.bytes).toBe(6)
    expect(traffic.report().sinceStart.store.bytes).toBe(11)
    clock.ms += 3 * 3_600_000
    expect(traffic.report().lastHour.store.bytes).toBe(0)
  })

  test('keeps the newest refusals, names the peer and makes its reason printable', () => {
    const { traffic } = setUp()
    for (let i = 0; i < 30; i++) {
      traffic.record({ kind: 'peer-blamed', peer: `p${i}`, module, reason: `\u001b[2Jbad ${i}` })
    }
    traffic.record({ kind: 'upstream-refused', module, reason: 'other bytes' })
    const { refused, refusedTotal } = traffic.report()
    expect(refusedTotal).toBe(31)
    expect(refused).toHaveLength(20)
    expect(refused[0]).toMatchObject({ peer: undefined, reason: 'other bytes' })
    expect(refused[1]).toMatchObject({
      peer: 'p29',
      module: 'example.com/m@v1.0.0',
      reason: '\\u001b[2Jbad 29',
    })
  })

  test('remembers how upstream did last', () => {
    const { traffic, clock } = setUp()
    expect(traffic.report().lastUpstream).toBeUndefined()
    const failed = { kind: 'failed', what: 'zip', path, version: undefined, tookMs: 1 } as const
    traffic.record({
      ...failed,
      error: new UpstreamUnavailableError('example.com/m\nhttps://u: refused'),
    })
    expect(traffic.report()).toMatchObject({
      failed: 1,
      lastUpstream: { ok: false, reason: 'example.com/m: https://u: refused' },
    })
    clock.ms += 5
    traffic.record(answered({ kind: 'upstream', from: 'https://u' }, 1))
    expect(traffic.report().lastUpstream).toEqual({ ok: true, atMs: clock.ms })
    traffic.record(answered({ kind: 'stale', why: 'slow' }, 1))
    traffic.record(answered({ kind: 'stale', why: 'offline' }, 1))
    expect(traffic.report().lastUpstream?.ok).toBe(true)
    traffic.record(answered({ kind: 'stale', why: 'failed' }, 1))
    expect(traffic.report().lastUpstream?.ok).toBe(false)
  })
})

import { ZipRulesError } from '@modmesh/module'
import { afterAll, describe, expect, test } from 'vitest'
import type { Fault } from '../../../../test/support/fake-upstream.ts'
import { startStopwatch } from '../../../../test/support/stopwatch.ts'
import { probeWaitMs } from '../../src/limits.ts'
import { fetchZip, module, UpstreamKit, zipPath } from '../support/upstream-kit.ts'

const { signal } = new AbortController()
const kit = new UpstreamKit()
afterAll(() => kit[Symbol.asyncDispose]())

const text = (answer: { bytes: Uint8Array }): string => Buffer.from(answer.bytes).toString()

describe.concurrent('time', () => {
  test.for<[string, Fault]>([
    ['silence', { kind: 'stall' }],
    ['a stalled body', { kind: 'stall', afterBytes: 5 }],
  ])('after %s the next of the list is asked', async ([, fault]) => {
    const [first, second] = [await kit.startFake(), await kit.startFake()]
    first.break(() => true, fault)
    const limits = { firstByteMs: 1_000, stallMs: 1_000 }
    const upstream = kit.ask(`${first.url}|${second.url}`, { limits })
    const [mod, zip] = await Promise.all([
      upstream.fetchMod(module, { signal }),
      fetchZip(upstream, { signal }),
    ])
    expect(mod.from).toBe(second.url)
    expect(zip.bytes.equals(Buffer.from(second.bytesOf(zipPath) ?? []))).toBe(true)
  })

  test('a silent upstream is an error that says it was time', async () => {
    const fake = await kit.startFake()
    fake.break(() => true, { kind: 'stall' })
    const upstream = kit.ask(fake.url, { limits: { firstByteMs: 50 } })
    await expect(upstream.fetchMod(module, { signal })).rejects.toMatchObject({ timedOut: true })
  })

  test('all attempts together have one limit', async () => {
    const fake = await kit.startFake()
    fake.break(() => true, { kind: 'delay', ms: 3_000 })
    const upstream = kit.ask(`${fake.url}|${fake.url}|${fake.url}`, { fetchTimeoutMs: 100 })
    const took = startStopwatch()
    await expect(upstream.fetchMod(module, { signal })).rejects.toMatchObject({ timedOut: true })
    expect(took()).toBeLessThan(2_500)
  })

  test('a caller who goes away gets its own reason back', async () => {
    const fake = await kit.startFake()
    fake.break(() => true, { kind: 'stall', afterBytes: 1_000 })
    const caller = new AbortController()
    const reason = new Error('gone')
    const asked = fetchZip(kit.ask(fake.url), { signal: caller.signal })
    await expect.poll(() => fake.count()).toBe(1)
    caller.abort(reason)
    await expect(asked).rejects.toBe(reason)
  })

  test('a slow sink is no stall of upstream', async () => {
    const fake = await kit.startFake()
    // The first chunk takes far longer than upstream may.
    const waits = [1_300]
    const sink = {
      write: () => new Promise<void>((resolve) => setTimeout(resolve, waits.pop() ?? 0)),
    }
    const upstream = kit.ask(fake.url, { limits: { stallMs: 600 } })
    const onReset = (): Promise<void> => Promise.reject(new Error('not expected'))
    const answer = await upstream.fetchZip(module, sink, { signal, onReset })
    expect(answer.from).toBe(fake.url)
  })
})

describe.concurrent('an upstream that is gone', () => {
  test('costs later requests next to nothing, and is back when it is back', async () => {
    const fake = await kit.startFake()
    fake.break(() => true, { kind: 'stall' })
    const upstream = kit.ask(fake.url, { limits: { firstByteMs: 300 } })
    await expect(upstream.fetchMod(module, { signal })).rejects.toMatchObject({ timedOut: true })
    const took = startStopwatch()
    for (let round = 0; round < 20; round++) {
      await expect(upstream.fetchMod(module, { signal })).rejects.toThrow('a moment ago')
    }
    expect(took()).toBeLessThan(1_000)
    expect(fake.count()).toBe(1)

    const back = await kit.startFake()
    await back.down()
    const other = kit.ask(back.url)
    await expect(other.fetchMod(module, { signal })).rejects.toThrow('refused')
    await back.up()
    await expect
      .poll(() => other.fetchMod(module, { signal }).then(text, () => ''))
      .toContain('module ')
  })

  test('is back also when it needs longer to say so than a request waits', async () => {
    const fake = await kit.startFake()
    fake.break((path) => path === '/', { kind: 'delay', ms: 2 * probeWaitMs })
    const upstream = kit.ask(fake.url)
    await fake.down()
    await expect(upstream.fetchMod(module, { signal })).rejects.toThrow('refused')
    await fake.up()
    await expect
      .poll(() => upstream.fetchMod(module, { signal }).then(text, () => ''))
      .toContain('module ')
  })

  test('is known to be gone also when our own limit was shorter than its', async () => {
    const fake = await kit.startFake()
    fake.break(() => true, { kind: 'stall' })
    const upstream = kit.ask(fake.url, { fetchTimeoutMs: 1_500 })
    await expect(upstream.fetchMod(module, { signal })).rejects.toMatchObject({ timedOut: true })
    await expect(upstream.fetchMod(module, { signal })).rejects.toThrow('a moment ago')
    expect(fake.count()).toBe(1)
  })

  test('is not declared dead by a caller who leaves', async () => {
    const fake = await kit.startFake()
    const stop = fake.break(() => true, { kind: 'stall' })
    const upstream = kit.ask(fake.url)
    const caller = new AbortController()
    const asked = upstream.fetchMod(module, { signal: caller.signal })
    await expect.poll(() => fake.count()).toBe(1)
    caller.abort(new Error('gone'))
    await expect(asked).rejects.toThrow('gone')
    stop()
    expect((await upstream.fetchMod(module, { signal })).from).toBe(fake.url)
  })

  test('is not declared dead by one slow file among good ones', async () => {
    const fake = await kit.startFake()
    fake.break((path) => path === zipPath, { kind: 'stall' })
    const upstream = kit.ask(fake.url, { limits: { firstByteMs: 1_000 } })
    const slow = fetchZip(upstream, { signal })
    await upstream.fetchMod(module, { signal })
    await expect(slow).rejects.toMatchObject({ timedOut: true })
    expect((await upstream.fetchMod(module, { signal })).from).toBe(fake.url)
  })

  test('never blames upstream for what the sink refused', async () => {
    const fake = await kit.startFake()
    const refusal = new ZipRulesError('full')
    const sink = { write: () => Promise.reject(refusal) }
    const onReset = async (): Promise<void> => {}
    const asked = kit.ask(`${fake.url}|${fake.url}`).fetchZip(module, sink, { signal, onReset })
    await expect(asked).rejects.toBe(refusal)
    expect(fake.count(zipPath)).toBe(1)
  })
})

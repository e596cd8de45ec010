import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { s3FirstRestMs, s3MaxFailures, s3SlowMs } from '../../src/remote-store/limits.ts'
import {
  failureOf,
  modKey,
  modObject,
  module,
  never,
  noise,
  readZip,
  type S3Kit,
  shortLimits,
  startS3,
  zipKey,
  zipObject,
} from '../support/s3-kit.ts'

let kit: S3Kit
beforeEach(async () => {
  kit = await startS3({ limits: shortLimits })
  kit.fake.put(modKey, Buffer.from('module m\n'))
})
afterEach(async () => {
  vi.restoreAllMocks()
  await kit[Symbol.asyncDispose]()
})

const read = () => kit.store.fetchFile(module, 'mod', never)
const write = () => kit.store.write(modObject('m'), { ...never, overwrite: true })

const now = performance.now.bind(performance)

/** Lets it be so many milliseconds later for those who look at the clock. */
function pass(ms: number): void {
  vi.spyOn(performance, 'now').mockImplementation(() => now() + ms)
}

describe('a bucket that is down', () => {
  beforeEach(() => kit.fake.down())

  test('is asked a few times, then left alone: no request, and an answer at once', async () => {
    for (let n = 0; n < s3MaxFailures; n++) await failureOf(read())
    await kit.fake.up()
    kit.fake.seen.length = 0
    for (let n = 0; n < 50; n++) {
      const error = await failureOf(read())
      expect([error.fault, error.message]).toEqual([
        'unable',
        expect.stringMatching(/failed a moment ago: .*connection refused/),
      ])
    }
    expect(kit.fake.seen).toEqual([])
    expect(kit.store.health()).toMatchObject({
      state: 'down',
      readFailure: expect.stringContaining('connection refused'),
      writeFailure: undefined,
    })
    expect(kit.changes).toEqual([
      { what: 'reads', isDown: true, reason: expect.stringContaining('connection refused') },
    ])
  })

  test('and comes back is used again after its rest, and that is told', async () => {
    for (let n = 0; n < s3MaxFailures; n++) await failureOf(read())
    await kit.fake.up()
    pass(s3FirstRestMs)
    expect(await read()).toBeDefined()
    expect(kit.store.health()).toEqual({
      state: 'on',
      readFailure: undefined,
      writeFailure: undefined,
    })
    expect(kit.changes.map(({ what, isDown }) => [what, isDown])).toEqual([
      ['reads', true],
      ['reads', false],
    ])
  })
})

describe('reads and writes are judged apart', () => {
  test('a bucket that may only be read is read on while writes rest', async () => {
    kit.fake.fail(({ method }) => method === 'PUT', {
      kind: 'error',
      status: 403,
      code: 'AccessDenied',
    })
    for (let n = 0; n < s3MaxFailures; n++) await failureOf(write())
    expect(kit.fake.count('PUT')).toBe(s3MaxFailures)
    await failureOf(write())
    expect(kit.fake.count('PUT')).toBe(s3MaxFailures)
    expect(await read()).toBeDefined()
    expect(kit.store.health()).toMatchObject({
      state: 'on',
      writeFailure: expect.stringContaining('403 AccessDenied'),
    })
  })

  test('and the other way round', async () => {
    kit.fake.fail(({ method }) => method === 'GET', { kind: 'error', status: 403 })
    for (let n = 0; n < s3MaxFailures; n++) await failureOf(read())
    expect(await write()).toBe('written')
    expect(kit.store.health().state).toBe('down')
  })
})

describe('what is no trouble of the bucket does not count', () => {
  test('absent objects, wrong objects and full disks of ours', async () => {
    kit.fake.put(zipKey, noise(1_000))
    kit.fake.put(modKey.replace('.mod', '.record.json'), Buffer.from('{}'))
    for (let n = 0; n < 2 * s3MaxFailures; n++) {
      expect(await kit.store.fetchFile(module, 'info', never)).toBeUndefined()
      expect((await failureOf(kit.store.fetchRecord(module, never))).fault).toBe('wrong')
      const onBytes = () => Promise.reject(new Error('ENOSPC'))
      await expect(readZip(kit.store, { ...never, onBytes })).rejects.toThrow('ENOSPC')
    }
    expect(kit.store.health().state).toBe('on')
    expect(kit.changes).toEqual([])
  })

  test('requests that somebody else answered sooner', async () => {
    kit.fake.fail(() => true, { kind: 'stall' })
    for (let n = 0; n < 2 * s3MaxFailures; n++) {
      const given = new AbortController()
      const reading = kit.store.fetchFile(module, 'mod', { signal: given.signal })
      given.abort(new Error('no longer needed'))
      await expect(reading).rejects.toThrow('no longer needed')
    }
    expect(kit.store.health().state).toBe('on')
  })
})

describe('a bucket that is silent', () => {
  test('for long counts as failed although somebody else answered meanwhile', async () => {
    kit.fake.fail(() => true, { kind: 'stall' })
    for (let n = 0; n < s3MaxFailures; n++) {
      const given = new AbortController()
      const reading = kit.store.fetchFile(module, 'mod', { signal: given.signal })
      pass((n + 1) * 2 * s3SlowMs)
      given.abort(new Error('no longer needed'))
      await expect(reading).rejects.toThrow('no longer needed')
    }
    expect(kit.store.health()).toMatchObject({
      state: 'down',
      readFailure: 'did not answer in time',
    })
  })

  test('before its first byte is given up by itself', async () => {
    await using silent = await startS3({ limits: { ...shortLimits, firstByteMs: 50 } })
    silent.fake.fail(({ key }) => key === modKey, { kind: 'stall' })
    const error = await failureOf(silent.store.fetchFile(module, 'mod', never))
    expect(error.message).toContain('no answer in time')
  })

  test('in the middle is given up by itself', async () => {
    await using stalling = await startS3({ limits: { ...shortLimits, stallMs: 50 } })
    stalling.fake.put(zipKey, noise(300_000))
    stalling.fake.fail(({ key }) => key === zipKey, { kind: 'stall', afterBytes: 1_000 })
    expect((await failureOf(readZip(stalling.store))).message).toContain('stalled')
  })

  test('and takes nothing of an upload is given up, too', async () => {
    kit.fake.fail(({ method }) => method === 'PUT', { kind: 'deaf' })
    // Larger than what two sockets hold between them.
    const object = zipObject(noise(16 << 20))
    const error = await failureOf(kit.store.write(object, { ...never, overwrite: true }))
    expect([error.fault, error.message]).toEqual(['unable', expect.stringContaining('stalled')])
    expect(kit.store.health().writeFailure).toContain('stalled')
  })
})

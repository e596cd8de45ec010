import { FakeClock } from '@modmesh/fill/twins'
import { parseModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { ValidatorUnavailableError } from '../../src/policy/policy-errors.ts'
import { validatorPauseMs, validatorVerdictMs } from '../../src/policy/policy-limits.ts'
import { CachedValidator, type ValidatorVerdict } from '../../src/policy/validator.ts'

const module = parseModuleVersion('example.com/m', 'v1.0.0')
const other = parseModuleVersion('example.com/m', 'v1.1.0')
const { signal } = new AbortController()
const unavailable = new ValidatorUnavailableError('no answer')

function setUp(failure: 'open' | 'closed', answer: () => Promise<ValidatorVerdict>) {
  const clock = new FakeClock()
  const asked: string[] = []
  const validator = {
    check: ({ version }: { version: string }) => {
      asked.push(version)
      return answer()
    },
  }
  return { clock, asked, cached: new CachedValidator({ validator, clock }, { failure }) }
}

const denied = { kind: 'denied', reason: 'licence' } as const

describe('a validator', () => {
  test('is asked once by equal questions at a time', async () => {
    const gate = Promise.withResolvers<ValidatorVerdict>()
    const { cached, asked } = setUp('closed', () => gate.promise)
    const all = Array.from({ length: 50 }, () => cached.check(module, { signal }))
    gate.resolve(denied)
    expect(new Set(await Promise.all(all))).toEqual(new Set([denied]))
    expect(asked).toEqual(['v1.0.0'])
  })

  test('is believed for a while, and asked again then', async () => {
    const { cached, asked, clock } = setUp('closed', async () => denied)
    await cached.check(module, { signal })
    await clock.advance(validatorVerdictMs - 1)
    await cached.check(module, { signal })
    expect(asked).toHaveLength(1)
    await clock.advance(1)
    await cached.check(module, { signal })
    await cached.check(other, { signal })
    expect(asked).toEqual(['v1.0.0', 'v1.0.0', 'v1.1.0'])
  })

  test('that failed is left in peace, and what it would say is an error when closed', async () => {
    const { cached, asked, clock } = setUp('closed', () => Promise.reject(unavailable))
    for (const each of [module, other, module]) {
      await expect(cached.check(each, { signal })).rejects.toBe(unavailable)
    }
    expect(asked).toHaveLength(1)
    await clock.advance(validatorPauseMs)
    await expect(cached.check(module, { signal })).rejects.toBe(unavailable)
    expect(asked).toHaveLength(2)
  })

  test('that failed allows everything when open, but not what it denied before', async () => {
    let answer = (): Promise<ValidatorVerdict> => Promise.resolve(denied)
    const { cached, asked, clock } = setUp('open', () => answer())
    expect(await cached.check(module, { signal })).toEqual(denied)
    answer = () => Promise.reject(unavailable)
    expect(await cached.check(other, { signal })).toEqual({ kind: 'allowed' })
    expect(await cached.check(module, { signal })).toEqual(denied)
    await clock.advance(validatorPauseMs)
    answer = () => Promise.resolve(denied)
    expect(await cached.check(other, { signal })).toEqual(denied)
    expect(asked).toEqual(['v1.0.0', 'v1.1.0', 'v1.1.0'])
  })

  test('goes on for the others when one client goes away', async () => {
    const gate = Promise.withResolvers<ValidatorVerdict>()
    const { cached, asked } = setUp('open', () => gate.promise)
    const client = new AbortController()
    const gone = cached.check(module, { signal: client.signal })
    const stays = cached.check(module, { signal })
    client.abort(new Error('gone'))
    await expect(gone).rejects.toThrow('gone')
    gate.resolve(denied)
    expect(await stays).toEqual(denied)
    expect(asked).toHaveLength(1)
  })

  test('whose own code is broken is no reason to allow', async () => {
    const { cached } = setUp('open', () => Promise.reject(new TypeError('a bug')))
    await expect(cached.check(module, { signal })).rejects.toThrow('a bug')
  })
})

import { describe, expect, test } from 'vitest'
import { CircuitBreaker } from '../../src/remote-store/circuit-breaker.ts'
import { s3FirstRestMs, s3LongestRestMs, s3MaxFailures } from '../../src/remote-store/limits.ts'

function broken(): { breaker: CircuitBreaker; pass: (ms: number) => void; told: boolean[] } {
  let nowMs = 0
  const told: boolean[] = []
  const breaker = new CircuitBreaker({
    nowMs: () => nowMs,
    onChange: (isOpen) => told.push(isOpen),
  })
  for (let n = 0; n < s3MaxFailures; n++) {
    expect(breaker.admit()).toBe(true)
    breaker.failed(`failure ${n}`)
  }
  const pass = (ms: number) => {
    nowMs += ms
  }
  return { breaker, pass, told }
}

describe('who failed several times in a row', () => {
  test('is left alone for a while, and that is told once', () => {
    const { breaker, pass, told } = broken()
    expect(breaker.isOpen).toBe(true)
    expect(breaker.lastFailure).toBe(`failure ${s3MaxFailures - 1}`)
    expect(breaker.admit()).toBe(false)
    pass(s3FirstRestMs - 1)
    expect(breaker.admit()).toBe(false)
    expect(told).toEqual([true])
  })

  test('gets one request as a trial, not two', () => {
    const { breaker, pass } = broken()
    pass(s3FirstRestMs)
    expect([breaker.admit(), breaker.admit()]).toEqual([true, false])
  })

  test('is used again after a trial that went well', () => {
    const { breaker, pass, told } = broken()
    pass(s3FirstRestMs)
    breaker.admit()
    breaker.succeeded()
    expect([breaker.admit(), breaker.admit(), breaker.isOpen]).toEqual([true, true, false])
    expect(breaker.lastFailure).toBeUndefined()
    expect(told).toEqual([true, false])
  })

  test('rests twice as long after each trial that failed, up to a limit', () => {
    const { breaker, pass, told } = broken()
    let restMs = s3FirstRestMs
    for (let n = 0; n < 10; n++) {
      pass(restMs)
      expect(breaker.admit()).toBe(true)
      breaker.failed('again')
      restMs = Math.min(2 * restMs, s3LongestRestMs)
      pass(restMs - 1)
      expect(breaker.admit()).toBe(false)
      pass(1 - restMs)
    }
    expect(restMs).toBe(s3LongestRestMs)
    expect(told).toEqual([true])
  })

  test('rests once when many that were under way fail together', () => {
    const { breaker, pass } = broken()
    for (let n = 0; n < 20; n++) breaker.failed('late')
    pass(s3FirstRestMs)
    expect(breaker.admit()).toBe(true)
  })

  test('a trial that was given up leaves the place to the next one', () => {
    const { breaker, pass } = broken()
    pass(s3FirstRestMs)
    breaker.admit()
    breaker.ended()
    expect(breaker.admit()).toBe(true)
  })
})

test('failures with a success between them do not add up', () => {
  const breaker = new CircuitBreaker({ nowMs: () => 0 })
  for (let n = 0; n < 3 * s3MaxFailures; n++) {
    breaker.failed('now and then')
    if (n % 2 === 1) breaker.succeeded()
  }
  expect(breaker.isOpen).toBe(false)
})

import { FakeClock } from '@modmesh/fill/twins'
import { expect, test } from 'vitest'
import { ownerRestMaxMs, ownerRestMs, ownerTrialMs } from '../src/limits.ts'
import { OwnerTrust } from '../src/owner-trust.ts'

function open(): { readonly trust: OwnerTrust; readonly pass: (ms: number) => Promise<void> } {
  const clock = new FakeClock()
  const pass = async (ms: number): Promise<void> => {
    const due = clock.sleep(ms, { signal: new AbortController().signal })
    await clock.step()
    await due
  }
  return { trust: new OwnerTrust({ clock }), pass }
}

test('who never failed is trusted, who failed is not for a while', async () => {
  const { trust, pass } = open()
  expect(trust.isTrusted('a')).toBe(true)
  trust.asked('a')
  trust.failed('a')
  expect(trust.isTrusted('a')).toBe(false)
  expect(trust.isTrusted('b')).toBe(true)
  await pass(ownerRestMs - 1)
  expect(trust.isTrusted('a')).toBe(false)
  await pass(1)
  expect(trust.isTrusted('a')).toBe(true)
})

test('questions that fail together count once', async () => {
  const { trust, pass } = open()
  for (let n = 0; n < 50; n++) trust.failed('a')
  await pass(ownerRestMs)
  expect(trust.isTrusted('a')).toBe(true)
})

test('after the rest one question tries it, the others go on without it', async () => {
  const { trust, pass } = open()
  trust.failed('a')
  await pass(ownerRestMs)
  trust.asked('a')
  expect(trust.isTrusted('a')).toBe(false)
  await pass(ownerTrialMs)
  expect(trust.isTrusted('a')).toBe(true)
  trust.worked('a')
  expect(trust.isTrusted('a')).toBe(true)
})

test('each trial that fails doubles the rest, up to a bound', async () => {
  const { trust, pass } = open()
  trust.failed('a')
  let restMs = ownerRestMs
  for (let n = 0; n < 8; n++) {
    await pass(restMs)
    expect(trust.isTrusted('a')).toBe(true)
    trust.asked('a')
    trust.failed('a')
    restMs = Math.min(ownerRestMaxMs, restMs * 2)
    await pass(restMs - 1)
    expect(trust.isTrusted('a')).toBe(false)
    await pass(1)
    trust.asked('a')
    trust.failed('a')
    restMs = Math.min(ownerRestMaxMs, restMs * 2)
  }
})

test('who answered has a clean slate', async () => {
  const { trust, pass } = open()
  trust.failed('a')
  await pass(ownerRestMs)
  trust.asked('a')
  trust.worked('a')
  trust.failed('a')
  await pass(ownerRestMs)
  expect(trust.isTrusted('a')).toBe(true)
})

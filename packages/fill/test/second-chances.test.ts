import type { ZipHash } from '@modmesh/module'
import { expect, test } from 'vitest'
import { PeerError } from '../src/errors.ts'
import { goneLinkMs, maxFarReturns, minCutBytes } from '../src/limits.ts'
import type { SiteLink } from '../src/peers.ts'
import { SecondChances } from '../src/second-chances.ts'

const hq = { site: 'hq', rttMs: 80, bytesPerSecond: undefined }
const near = { peer: 'a', rttMs: 1, zipHash: 'h1:' as ZipHash }
const far = { ...near, peer: 'b', far: hq }
const nothing = { bytes: 0, whole: 0, idleMs: 0 }
const much = { ...nothing, bytes: minCutBytes, whole: minCutBytes }

function chances(init: { waitsForBusy?: boolean; sites?: readonly SiteLink[] } = {}) {
  const { waitsForBusy = true, sites = [hq] } = init
  return new SecondChances({ peers: { sites: () => sites } }, { waitsForBusy })
}

const failed = (fault: PeerError['fault']) => new PeerError('a', 'is no use', { fault })

test('who is busy is asked again in turn, unless others are to be asked', () => {
  expect(chances().of(near, nothing, failed('busy'))).toBe('in-turn')
  expect(chances({ waitsForBusy: false }).of(near, nothing, failed('busy'))).toBeUndefined()
})

test.for([failed('protocol'), new Error('the disk is full')])('%s is the end of it', (error) => {
  expect(chances().of(near, much, error)).toBeUndefined()
  expect(chances().of(far, much, error)).toBeUndefined()
})

test('a near holder that was cut goes on once, when enough had come', () => {
  const given = chances()
  expect(given.of(near, { ...much, bytes: minCutBytes - 1 }, failed('unable'))).toBe(undefined)
  expect(given.of(near, much, failed('unable'))).toBe('in-turn')
  expect(given.of(near, much, failed('unable'))).toBeUndefined()
})

test('a far holder is waited for when bytes had come, or its site is gone', () => {
  expect(chances().of(far, { ...nothing, whole: 1 }, failed('unable'))).toBe('when-back')
  expect(chances({ sites: [] }).of(far, nothing, failed('unable'))).toBe('when-back')
  expect(chances().of(far, nothing, failed('unable'))).toBeUndefined()
})

test('a far holder is waited for when its link swallows everything, and not when it only has no answer', () => {
  const swallowed = { ...nothing, idleMs: goneLinkMs }
  const ask = (silentMs: number, came: typeof nothing) =>
    chances({ sites: [{ ...hq, silentMs }] }).of(far, came, failed('unable'))
  expect(ask(goneLinkMs, swallowed)).toBe('when-back')
  expect(ask(goneLinkMs - 1, swallowed)).toBeUndefined()
  expect(ask(15_000, nothing)).toBeUndefined()
})

test('a far holder that is cut again and again is given up, each holder for itself', () => {
  const given = chances()
  const outcomes = Array.from({ length: maxFarReturns + 2 }, () =>
    given.of(far, much, failed('unable')),
  )
  expect(outcomes).toEqual([...Array(maxFarReturns).fill('when-back'), 'in-turn', undefined])
  expect(given.of({ ...far, peer: 'c' }, much, failed('unable'))).toBe('when-back')
})

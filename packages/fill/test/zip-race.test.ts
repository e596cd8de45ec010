import { defaultBudgets } from '@modmesh/fill'
import { expect, test } from 'vitest'
import { type Attempt, nextMove, type RaceView } from '../src/zip-race.ts'
import { freshRace as begin, peerAttempt as peer } from './support/race-view.ts'

const flowing: Attempt = { ...peer, hasFirstByte: true, bytes: 1_000_000 }
const far: Attempt = { ...peer, isFar: true }
const upstream: Attempt = { ...peer, kind: 'upstream', windowMs: 0 }
const asked = { startedMs: 1000, windowMs: 250 }

const cases: [string, Partial<RaceView>, string][] = [
  ['a holder is asked first', { candidates: 1 }, 'ask-holder'],
  [
    'no holder is asked before the hash is known',
    { expected: 'searching', candidates: 1, recordsDone: false },
    'wait',
  ],
  ['upstream is asked when no peer can give the hash', { expected: 'searching' }, 'ask-upstream'],
  [
    'upstream waits for the head start of records',
    { expected: 'searching', recordsDone: false, nowMs: 1019 },
    'wait',
  ],
  [
    'upstream joins after it',
    { expected: 'searching', recordsDone: false, nowMs: 1020 },
    'ask-upstream',
  ],
  [
    'more holders are searched when the inventory has none',
    { holderSearch: 'unstarted' },
    'search-holders',
  ],
  ['no search while a holder waits', { holderSearch: 'unstarted', candidates: 1 }, 'ask-holder'],
  [
    'upstream waits for the head start of the search',
    { holderSearch: 'running', nowMs: 1019 },
    'wait',
  ],
  ['and joins beside it', { holderSearch: 'running', nowMs: 1020 }, 'ask-upstream'],
  [
    'one holder is enough while it is in time',
    { attempts: [peer], candidates: 1, firstPeer: asked, nowMs: 1249 },
    'wait',
  ],
  [
    'a late one is joined by the next',
    { attempts: [peer], candidates: 1, firstPeer: asked, nowMs: 1250 },
    'ask-holder',
  ],
  ['one of another site is asked before upstream', { farCandidates: 1 }, 'ask-far-holder'],
  ['not while a near one waits', { candidates: 1, farCandidates: 1 }, 'ask-holder'],
  [
    'nor while a near one is in time',
    { attempts: [peer], farCandidates: 1, firstPeer: asked, nowMs: 1249 },
    'wait',
  ],
  [
    'nor while it is a little late: the link costs more than that',
    { attempts: [peer], farCandidates: 1, firstPeer: asked, upstream: 'none', nowMs: 2999 },
    'wait',
  ],
  [
    'but when it stalls',
    { attempts: [peer], farCandidates: 1, firstPeer: asked, upstream: 'none', nowMs: 3000 },
    'ask-far-holder',
  ],
  [
    'a second one of another site never joins the first',
    { attempts: [far], farCandidates: 1, firstPeer: asked, upstream: 'none', nowMs: 9000 },
    'wait',
  ],
  [
    'upstream joins a late one of another site',
    { attempts: [far], farCandidates: 1, firstPeer: asked, nowMs: 1250 },
    'ask-upstream',
  ],
  [
    'a quicker upstream is asked before another site',
    { farCandidates: 1, isUpstreamFirst: true },
    'ask-upstream',
  ],
  [
    'which is given its time',
    {
      farCandidates: 1,
      isUpstreamFirst: true,
      upstream: 'running',
      attempts: [upstream],
      nowMs: 1999,
    },
    'wait',
  ],
  [
    'and joined when it is late',
    {
      farCandidates: 1,
      isUpstreamFirst: true,
      upstream: 'running',
      attempts: [upstream],
      nowMs: 2000,
    },
    'ask-far-holder',
  ],
  [
    'and replaced when it failed',
    { farCandidates: 1, isUpstreamFirst: true, upstream: 'failed' },
    'ask-far-holder',
  ],
  [
    'a lone late one is joined by upstream',
    { attempts: [peer], firstPeer: asked, nowMs: 1250 },
    'ask-upstream',
  ],
  [
    'no third holder while upstream may come',
    { attempts: [peer, peer], candidates: 1, firstPeer: asked, nowMs: 1250 },
    'ask-upstream',
  ],
  [
    'a third one when there is none',
    { upstream: 'none', attempts: [peer, peer], candidates: 1, firstPeer: asked, nowMs: 1250 },
    'ask-holder',
  ],
  [
    'no fifth one even then',
    { upstream: 'none', attempts: [peer, peer, peer, peer], candidates: 1, nowMs: 1250 },
    'wait',
  ],
  [
    'nobody joins a body that flows',
    { attempts: [flowing], candidates: 1, firstPeer: asked, nowMs: 2000 },
    'wait',
  ],
  [
    'others join a body that crawls',
    { attempts: [{ ...flowing, bytes: 100_000 }], candidates: 1, firstPeer: asked, nowMs: 11_000 },
    'ask-holder',
  ],
  [
    'nobody joins a long body at a good rate',
    { attempts: [{ ...flowing, bytes: 700_000 }], candidates: 1, nowMs: 11_000 },
    'wait',
  ],
  [
    'after two windows of failures upstream comes before more holders run',
    { candidates: 0, firstPeer: asked, attempts: [{ ...peer, startedMs: 1499 }], nowMs: 1500 },
    'ask-upstream',
  ],
  ['a running upstream is waited for', { upstream: 'running', attempts: [upstream] }, 'wait'],
  [
    'a holder found late still helps an upstream without a first byte',
    { upstream: 'running', attempts: [upstream], candidates: 1 },
    'ask-holder',
  ],
  [
    'and does not when it has one',
    { upstream: 'running', attempts: [{ ...upstream, hasFirstByte: true }], candidates: 1 },
    'wait',
  ],
  [
    'after a failed upstream the remaining holders are asked',
    { upstream: 'failed', candidates: 1 },
    'ask-holder',
  ],
  ['and searched for', { upstream: 'failed', holderSearch: 'unstarted' }, 'search-holders'],
  ['nobody left: the end', { upstream: 'failed' }, 'give-up'],
  ['nobody at all: the end', { upstream: 'none', holderSearch: 'none' }, 'give-up'],
  [
    'a search goes on when upstream is dead',
    { upstream: 'failed', holderSearch: 'running', nowMs: 5999 },
    'wait',
  ],
  ['but not for ever', { upstream: 'failed', holderSearch: 'running', nowMs: 6000 }, 'give-up'],
  [
    'once upstream said no a search has the time of a have-query',
    { upstream: 'no', holderSearch: 'running', nowMs: 1149 },
    'wait',
  ],
  ['and no more', { upstream: 'no', holderSearch: 'running', nowMs: 1150 }, 'give-up'],
  ['without a hash it ends', { expected: 'failed', candidates: 3 }, 'give-up'],
  [
    'unless upstream may still say no',
    { expected: 'failed', upstream: 'running', attempts: [upstream] },
    'wait',
  ],
  [
    'which a first byte is not',
    { expected: 'failed', upstream: 'running', attempts: [{ ...upstream, hasFirstByte: true }] },
    'give-up',
  ],
  [
    'a hash may still come when upstream has failed',
    { expected: 'searching', upstream: 'failed', nowMs: 2000 },
    'wait',
  ],
  [
    'and when it said no, for the time of a have-query',
    { expected: 'searching', upstream: 'no', nowMs: 1150 },
    'give-up',
  ],
]

test.for(cases)('%s', ([, view, kind]) => {
  expect(nextMove({ ...begin, ...view }, defaultBudgets).kind).toBe(kind)
})

test('a wait ends at the next moment that changes something', () => {
  const waitMs = (view: Partial<RaceView>) => {
    const move = nextMove({ ...begin, ...view }, defaultBudgets)
    return move.kind === 'wait' ? move.ms : move.kind
  }
  expect(waitMs({ expected: 'searching', recordsDone: false, nowMs: 1005 })).toBe(15)
  expect(waitMs({ attempts: [peer], firstPeer: asked, nowMs: 1160 })).toBe(90)
  expect(waitMs({ attempts: [flowing], nowMs: 2000 })).toBe(10_000)
  expect(waitMs({ upstream: 'running', attempts: [upstream], nowMs: 9000 })).toBeUndefined()
})

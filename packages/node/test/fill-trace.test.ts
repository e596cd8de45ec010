import type { FillEvent } from '@modmesh/fill'
import { parseModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { FillTrace } from '../src/fill-trace.ts'

const module = parseModuleVersion('example.com/mod', 'v1.0.0')
const name = 'example.com/mod@v1.0.0'
const request = { what: 'zip', path: module.path, version: module.version } as const
const upstream = { kind: 'upstream', from: 'https://proxy.test' } as const

function traceOf(events: readonly FillEvent[]) {
  let nowMs = Date.parse('2026-01-02T03:04:05Z')
  const trace = new FillTrace({ clock: { wallMs: () => nowMs++ } })
  for (const event of events) trace.record(event)
  return trace
}

const fetched: FillEvent = { kind: 'answered', ...request, source: upstream, bytes: 7, tookMs: 30 }
const hit: FillEvent = {
  kind: 'answered',
  ...request,
  source: { kind: 'store' },
  bytes: 7,
  tookMs: 0,
}
const asked: FillEvent = {
  kind: 'zip-asked',
  module,
  asked: { kind: 'peer', peer: 'p1' },
  outcome: 'failed',
  error: new Error('first line\nsecond\u001b[2J line'),
  bytes: 3,
  tookMs: 12,
}

describe('a trace', () => {
  test('tells a fill step by step, in order', () => {
    const trace = traceOf([
      { kind: 'peers-told', module, answers: [{ peer: 'p1', holdsZip: true }], tookMs: 4 },
      asked,
      { kind: 'peer-blamed', peer: 'p1', module, reason: 'wrong\nbytes' },
      { kind: 'upstream-chosen', what: 'zip', module, why: 'peers-failed' },
      fetched,
    ]).of(name)
    expect(trace?.steps).toMatchObject([
      { step: 'peers-told', answers: [{ peer: 'p1', holdsZip: true }], tookMs: 4 },
      { step: 'asked', source: 'peer', peer: 'p1', outcome: 'failed', reason: 'first line' },
      { step: 'refused', peer: 'p1', reason: 'wrong\\u000abytes' },
      { step: 'upstream-chosen', what: 'zip', why: 'peers-failed' },
      { step: 'answered', source: 'upstream', reason: upstream.from, bytes: 7, tookMs: 30 },
    ])
    const times = trace?.steps.map(({ at }) => at) ?? []
    expect(times).toEqual(times.toSorted())
  })

  test('counts hits where a fill is remembered, and remembers none for hits alone', () => {
    expect(traceOf([hit, hit]).of(name)).toBeUndefined()
    expect(traceOf([fetched, hit, hit]).of(name)).toMatchObject({ hits: 2, steps: [{}] })
  })

  test('keeps nothing of lists and queries, which are of no version', () => {
    const query: FillEvent = { ...fetched, what: 'query', version: 'master' } as FillEvent
    const list: FillEvent = { ...fetched, what: 'list', version: undefined } as FillEvent
    const trace = traceOf([query, list])
    expect(trace.of('example.com/mod@master')).toBeUndefined()
    expect(trace.of('example.com/mod@undefined')).toBeUndefined()
  })

  test('keeps the beginning and the end of what never ends', () => {
    const many = Array.from({ length: 500 }, (_, n): FillEvent => ({ ...asked, bytes: n }))
    const trace = traceOf(many).of(name)
    expect(trace?.steps).toHaveLength(48)
    expect(trace?.steps[0]?.bytes).toBe(0)
    expect(trace?.steps.at(-1)?.bytes).toBe(499)
    expect(trace?.dropped).toBe(452)
  })

  test('forgets the version that nothing happened to for longest', () => {
    const versions = Array.from({ length: 2_001 }, (_, n) => `v1.0.${n}`)
    const events = versions.map((version): FillEvent => ({ ...fetched, version }) as FillEvent)
    const [first = fetched, ...others] = events
    const trace = traceOf([first, ...others.slice(0, -1), first, ...others.slice(-1)])
    expect(trace.of('example.com/mod@v1.0.0')?.steps).toHaveLength(2)
    expect(trace.of('example.com/mod@v1.0.1')).toBeUndefined()
    expect(trace.of('example.com/mod@v1.0.2000')).toBeDefined()
  })
})

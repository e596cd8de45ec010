import { parseArgs } from 'node:util'
import { runSeed, type SeedResult } from './run-seed.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    until: { type: 'string' },
    tally: { type: 'boolean', default: false },
  },
})

process.exitCode =
  values.seed === undefined ? await runMany() : await runOne(wholeNumber(values.seed))

/** Replays one seed. */
async function runOne(seed: number): Promise<number> {
  const onTrace = values.trace ? { onTrace: (line: string) => console.log(line) } : {}
  const until = values.until === undefined ? {} : { until: wholeNumber(values.until) }
  const result = await runSeed(seed, { ...onTrace, ...until })
  return report(result) ? 0 : 1
}

/** Runs a range of seeds; one in a hundred twice, which must not differ. */
async function runMany(): Promise<number> {
  const count = wholeNumber(values.seeds ?? '1000')
  const from = wholeNumber(values.from)
  const startedMs = performance.now()
  const tally = new Map<string, number>()
  let events = 0
  for (let seed = from; seed < from + count; seed++) {
    const result = await runSeed(seed)
    if (!report(result)) return 1
    if (seed % 100 === 0 && !report(await repeat(result))) return 1
    events += result.events
    for (const [what, times] of result.tally) tally.set(what, (tally.get(what) ?? 0) + times)
  }
  const seconds = (performance.now() - startedMs) / 1000
  const rate = (count / seconds).toFixed(0)
  console.log(
    `${count} seeds in ${seconds.toFixed(1)} s, ${rate} seeds/s, ${events} events, 0 failed`,
  )
  if (values.tally) for (const [what, times] of tally) console.log(`${times} ${what}`)
  return 0
}

async function repeat(first: SeedResult): Promise<SeedResult> {
  const second = await runSeed(first.seed)
  if (second.traceHash === first.traceHash && second.events === first.events) return second
  const detail = 'two runs of one seed differ'
  return { ...second, failure: { invariant: 'I4', event: second.events, detail } }
}

function report(result: SeedResult): boolean {
  const { failure } = result
  if (failure === undefined) return true
  const seed = `0x${result.seed.toString(16)}`
  const { invariant, event, detail } = failure
  const replay = `replay: pnpm sim --seed ${seed} --trace`
  console.log(`SIM FAIL inv=${invariant} seed=${seed} event=${event} ${replay}`)
  console.log(detail)
  return false
}

/** Reads `12` or `0x0c`. */
function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`not a whole number: ${text}`)
  return value
}

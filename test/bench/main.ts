/**
 * `pnpm bench`: what a node costs and saves, measured in one run with the real `go` command.
 * `--project MODULE@VERSION` picks what is downloaded, `--rounds N` how often, `--only NAME` one row.
 * Every row is a ratio of two things run in turn; aims are printed beside, never asserted.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { prepareProject } from '../support/project.ts'
import { Bench, type Row } from './bench.ts'
import { compareH1 } from './h1.ts'
import { median, ratios } from './measure.ts'
import { compareTransfer } from './transfer/transfer.ts'

const { values } = parseArgs({
  options: {
    project: { type: 'string', default: 'github.com/prometheus/prometheus@v0.314.0' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    keep: { type: 'string', default: join(tmpdir(), 'modmesh-bench-project') },
  },
})
const rounds = Number(values.rounds)
const wanted = (name: string): boolean => values.only === undefined || values.only === name

function printRow(row: Row): void {
  const all = ratios(row.comparison)
  const [low, high] = [Math.min(...all), Math.max(...all)]
  const aim = row.aim === undefined ? 'no aim' : `aim ${row.aim}`
  console.log(
    `${row.title.padEnd(58)} ${median(all).toFixed(2).padStart(5)}  (${low.toFixed(2)}-${high.toFixed(2)})  ` +
      `${median(row.comparison.a).toFixed(1)} s : ${median(row.comparison.b).toFixed(1)} s  ${aim}`,
  )
}

mkdirSync(values.keep, { recursive: true })
const project = prepareProject(values.keep, values.project)
const megabytes = (project.bytes / 1e6).toFixed(0)
console.log(
  `${project.module}: ${project.zips} modules, ${megabytes} MB of zips, ${rounds} rounds\n`,
)
const scratch = mkdtempSync(join(tmpdir(), 'modmesh-bench-'))
try {
  await using bench = await Bench.open(project, scratch, rounds)
  if (wanted('warm')) printRow(await bench.warm())
  if (wanted('lan')) printRow(await bench.lanFill())
  if (wanted('cold')) for (const row of await bench.cold()) printRow(row)
  if (wanted('h1')) {
    const h1 = await compareH1(project, scratch)
    console.log(
      `h1 of every zip, ours : Go's dirhash`.padEnd(58),
      `${(h1.oursMBps / h1.goMBps).toFixed(2).padStart(5)}  `,
      `${h1.oursMBps.toFixed(0)} MB/s : ${h1.goMBps.toFixed(0)} MB/s of zip bytes  aim above 1`,
    )
  }
  if (wanted('transfer')) {
    const { comparison, megabytes, cpuPerGigabyte } = await compareTransfer(scratch, rounds)
    const title = `${megabytes.toFixed(0)} MB to a member : bare libp2p stream`
    printRow({ title, comparison, aim: 1.15 })
    const { ours, bare } = cpuPerGigabyte
    console.log(`  processor seconds per GB, both ends: ${ours.toFixed(1)} : ${bare.toFixed(1)}`)
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

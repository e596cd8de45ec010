/**
 * `pnpm bench:servers`: this program beside goproxy and Athens, in one run, on the same files, with the
 * real `go` command. The other two are found on PATH, or named by `--goproxy FILE` and `--athens FILE`.
 * `--rounds N` how often, `--seconds N` per load, `--only start|warm|cold|slow-disk` a part of it.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { bundleProgram } from '../../support/bundle.ts'
import { completeProject, prepareProject } from '../../support/project.ts'
import { Comparison, type Line } from './compare.ts'
import { athens, goproxy, modmesh, onPath, type Subject } from './subject.ts'

const { values } = parseArgs({
  options: {
    project: { type: 'string', default: 'github.com/prometheus/prometheus@v0.314.0' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    only: { type: 'string' },
    keep: { type: 'string', default: join(tmpdir(), 'modmesh-bench-project') },
    goproxy: { type: 'string', default: onPath(['goproxy']) ?? '' },
    athens: { type: 'string', default: onPath(['athens', 'athens-proxy']) ?? '' },
  },
})
const wanted = (part: string): boolean => values.only === undefined || values.only === part

const subjects: Subject[] = [modmesh]
if (values.goproxy === '') {
  console.log('goproxy: not found. go install github.com/goproxy/goproxy/cmd/goproxy@latest')
} else subjects.push(goproxy(values.goproxy))
if (values.athens === '') {
  console.log(
    'athens: not found. go install github.com/gomods/athens/cmd/proxy@latest, name it athens',
  )
} else subjects.push(athens(values.athens))

function print(line: Line): void {
  const [ours, ...others] = line.values
  const known = others.filter((value) => value !== undefined)
  const best = line.isMoreBetter ? Math.max(...known) : Math.min(...known)
  const isCompared = ours !== undefined && known.length > 0
  // Above 1 we are ahead, whatever is measured.
  const ahead = isCompared ? (line.isMoreBetter ? ours / best : best / ours).toFixed(2) : ''
  const cells = line.values.map((value) => cell(value, line.unit).padStart(14))
  console.log(`${line.title.padEnd(42)}${cells.join('')}${ahead.padStart(9)}`)
  for (const note of line.notes) console.log(`    ${note}`)
}

function cell(value: number | undefined, unit: string): string {
  if (value === undefined) return 'failed'
  return `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${unit}`
}

function hasStrace(): boolean {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

bundleProgram()
mkdirSync(values.keep, { recursive: true })
const project = completeProject(values.keep, prepareProject(values.keep, values.project))
const scratch = mkdtempSync(join(tmpdir(), 'modmesh-servers-'))
console.log(
  `${project.module}: ${project.zips} modules, ${(project.bytes / 1e6).toFixed(0)} MB of zips, ${values.rounds} rounds\n`,
)
console.log(`${''.padEnd(42)}${subjects.map(({ name }) => name.padStart(14)).join('')}    ahead`)
try {
  const rounds = Number(values.rounds)
  await using comparison = await Comparison.open({ project, scratch, subjects, rounds })
  if (wanted('start')) for (const line of await comparison.start()) print(line)
  if (wanted('cold')) print(await comparison.cold())
  if (wanted('slow-disk')) {
    const delay = ['-e', 'trace=fsync,fdatasync', '-e', 'inject=fsync,fdatasync:delay_exit=5000']
    const strace = ['strace', '-f', '--seccomp-bpf', '-qqq', '-o', '/dev/null', ...delay]
    if (hasStrace()) print(await comparison.cold(strace, 'the same, fsync takes 5 ms more'))
    else console.log('slow disk: not measured, strace is missing')
  }
  if (wanted('warm')) for (const line of await comparison.warm(Number(values.seconds))) print(line)
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

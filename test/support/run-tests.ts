/**
 * Runs everything that must hold and closes with `N passed, N failed[, N skipped]` alone on a line.
 * The static checks count as one test each. Arguments go to vitest, e.g. `--project unit`.
 * With MODMESH_REQUIRE_TOOLS=1 (CI) a skipped test is a failure: nothing may go untested unseen.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Tally {
  passed: number
  failed: number
  skipped: number
}

interface VitestReport {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numFailedTestSuites: number
  readonly success: boolean
  readonly testResults: readonly {
    readonly name: string
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
  }[]
}

const staticChecks: readonly (readonly [string, readonly string[]])[] = [
  ['biome', ['ci']],
  ['oxlint', []],
  ['tsc', ['-b']],
  ['knip', []],
]

function run(command: string, args: readonly string[]): boolean {
  const done = spawnSync(command, args, { stdio: 'inherit' })
  if (done.error !== undefined) console.error(`${command}: ${done.error.message}`)
  return done.status === 0
}

function runStaticChecks(tally: Tally): void {
  for (const [command, args] of staticChecks) {
    if (run(command, args)) tally.passed++
    else {
      tally.failed++
      console.error(`FAILED: ${command} ${args.join(' ')}`)
    }
  }
}

function runVitest(tally: Tally, args: readonly string[]): void {
  const folder = mkdtempSync(join(tmpdir(), 'modmesh-report-'))
  const file = join(folder, 'report.json')
  const ok = run('vitest', [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
    ...args,
  ])
  try {
    const report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport
    tally.passed += report.numPassedTests
    tally.failed += report.numFailedTests
    tally.skipped += report.numPendingTests
    // A file that does not load, or an unhandled rejection, fails no single test.
    if (!ok && report.numFailedTests === 0) tally.failed++
    reportSkips(report)
  } catch (error) {
    console.error(`vitest left no report: ${String(error)}`)
    tally.failed++
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function reportSkips(report: VitestReport): void {
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      if (test.status === 'pending' || test.status === 'skipped') {
        console.error(`skipped: ${test.fullName}`)
      }
    }
  }
}

const tally: Tally = { passed: 0, failed: 0, skipped: 0 }
const vitestArgs = process.argv.slice(2).filter((arg) => arg !== '--')
if (vitestArgs.length === 0) runStaticChecks(tally)
runVitest(tally, vitestArgs)
if (process.env['MODMESH_REQUIRE_TOOLS'] === '1' && tally.skipped > 0) {
  console.error(`${tally.skipped} skipped tests count as failed here: a tool is missing`)
  tally.failed += tally.skipped
}
const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : ''
console.log(`\n${tally.passed} passed, ${tally.failed} failed${skipped}`)
process.exitCode = tally.failed === 0 && tally.passed > 0 ? 0 : 1

import { askStore } from '../ask-store.ts'
import type { AcceptReport, ChangedLine } from '../changed-hashes.ts'
import { changedText } from '../changed-text.ts'
import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'

/** Milliseconds. */
const answerTimeoutMs = 60_000

/** `modmesh accept`: takes what changed of the versions named, alone lists what waits; 1 when nothing waits of one. */
export async function accept(
  flags: FlagTexts & { readonly json?: true; readonly names: readonly string[] },
  around: Surroundings,
): Promise<ExitCode> {
  const { names } = flags
  for (const name of names) checkName(name)
  const dir = await readDirOption(flags, around)
  const signal = AbortSignal.timeout(answerTimeoutMs)
  const request = { command: 'accept', modules: [...names] } as const
  const report = (await askStore(dir, request, { signal })) as AcceptReport
  const json = JSON.stringify({ schema: 'modmesh.accept/1', ...report })
  process.stdout.write(`${flags.json ? json : asText(report, names)}\n`)
  for (const name of report.unknown) {
    process.stderr.write(`modmesh: ${escapeInvisible(name)}: nothing of it waits to be accepted\n`)
  }
  return report.unknown.length > 0 ? exitCodes.failed : exitCodes.done
}

function checkName(name: string): void {
  if (name.includes('@')) return
  throw new UsageError(`${JSON.stringify(name)} is not allowed; it takes PATH@VERSION`)
}

function asText({ accepted, waiting }: AcceptReport, names: readonly string[]): string {
  const nowMs = Date.now()
  const done = accepted.map(
    ({ module, part, seen }) => `accepted ${module}: ${part === 'zip' ? 'zip' : 'go.mod'} ${seen}`,
  )
  if (names.length > 0) {
    const rest = waiting.length === 0 ? 'nothing waits any more' : `${waiting.length} still wait`
    return [...done, rest].join('\n')
  }
  if (waiting.length === 0) return 'nothing waits to be accepted'
  const lines = waiting.flatMap((line) => [...changedText(line, nowMs), hint(line)])
  return lines.join('\n')
}

function hint({ accept: command }: ChangedLine): string {
  return `  to take the new one: ${command}`
}

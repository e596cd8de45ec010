import { askStore } from '../ask-store.ts'
import { formatBytes } from '../byte-size.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { plural } from '../status-text.ts'
import type { PinLine, PinReport } from '../store-answers.ts'

/** Milliseconds. */
const answerTimeoutMs = 60_000

type PinFlags = FlagTexts & { readonly json?: true; readonly names: readonly string[] }

/** `modmesh pin`: pins what is named, and prints all pins. */
export async function pin(flags: PinFlags, around: Surroundings): Promise<ExitCode> {
  await change('pin', flags, around)
  return exitCodes.done
}

/** `modmesh unpin`: ends pins, and prints those that are left; 1 when one of them was none. */
export async function unpin(flags: PinFlags, around: Surroundings): Promise<ExitCode> {
  const { unknown } = await change('unpin', flags, around)
  for (const name of unknown) note(`${escapeInvisible(name)} is not pinned`)
  return unknown.length > 0 ? exitCodes.failed : exitCodes.done
}

async function change(
  command: 'pin' | 'unpin',
  flags: PinFlags,
  around: Surroundings,
): Promise<PinReport> {
  const dir = await readDirOption(flags, around)
  const signal = AbortSignal.timeout(answerTimeoutMs)
  const request = { command, pins: [...flags.names] } as const
  const report = (await askStore(dir, request, { signal })) as PinReport
  const json = `${JSON.stringify({ schema: 'modmesh.pins/1', ...report })}\n`
  process.stdout.write(flags.json ? json : report.pins.map(asText).join(''))
  // Not on stdout: a script counts lines there.
  if (report.lost) note('the pins cannot be read: nothing is removed until you pin again')
  else if (report.pins.length === 0) note('nothing is pinned')
  return report
}

function asText({ pin: name, zips, bytes }: PinLine): string {
  const held = `${zips} ${plural(zips, 'zip')}, ${formatBytes(bytes)}`
  return `${name}  ${zips === 0 ? 'nothing held yet' : held}\n`
}

function note(text: string): void {
  process.stderr.write(`modmesh: ${text}\n`)
}

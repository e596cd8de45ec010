import { askStore } from '../ask-store.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { formatBytes } from '../status-text.ts'
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
  for (const name of unknown) process.stderr.write(`modmesh: ${name} is not pinned\n`)
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
  return report
}

function asText({ pin: name, zips, bytes }: PinLine): string {
  return `${name}  ${zips === 0 ? 'nothing held yet' : `${zips} zips, ${formatBytes(bytes)}`}\n`
}

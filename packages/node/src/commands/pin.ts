import { resolve } from 'node:path'
import { askStore } from '../ask-store.ts'
import { formatBytes } from '../byte-size.ts'
import type { StoreRequest } from '../control-socket/requests.ts'
import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { PinLine, PinReport, ProjectLine } from '../pin-answers.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { plural } from '../status-text.ts'
import { readGoSums } from './go-sums.ts'

/** Milliseconds. */
const answerTimeoutMs = 60_000

type PinFlags = Omit<FlagTexts, 'name'> & {
  readonly json?: true
  readonly names: readonly string[]
  /** A project's name. */
  readonly name?: string
  /** go.sum files, or folders with one. */
  readonly for?: readonly string[]
}

/** `modmesh pin`: pins what is named, and prints all pins. */
export async function pin(flags: PinFlags, around: Surroundings): Promise<ExitCode> {
  const { names, for: paths } = flags
  if (paths === undefined && flags.name !== undefined) {
    throw new UsageError('--name is the name of a project: say --for GO.SUM, too')
  }
  const project = paths && {
    name: flags.name ?? resolve(around.cwd, paths[0] ?? ''),
    sums: await readGoSums(paths, around.cwd),
  }
  await change({ command: 'pin', pins: [...names], project }, flags, around)
  return exitCodes.done
}

/** `modmesh unpin`: ends pins, and prints those that are left; 1 when one of them was none. */
export async function unpin(flags: PinFlags, around: Surroundings): Promise<ExitCode> {
  const { names, name: project } = flags
  if (names.length === 0 && project === undefined) {
    throw new UsageError('say what is pinned no longer: its name as it was pinned, or --name NAME')
  }
  const { unknown } = await change({ command: 'unpin', pins: [...names], project }, flags, around)
  for (const each of unknown) note(`${escapeInvisible(each)} is not pinned`)
  return unknown.length > 0 ? exitCodes.failed : exitCodes.done
}

async function change(
  request: Extract<StoreRequest, { command: 'pin' | 'unpin' }>,
  { json, dir: given }: PinFlags,
  around: Surroundings,
): Promise<PinReport> {
  const dir = await readDirOption(given === undefined ? {} : { dir: given }, around)
  const signal = AbortSignal.timeout(answerTimeoutMs)
  const report = (await askStore(dir, request, { signal })) as PinReport
  const { pins, projects, lost } = report
  const lines = [...pins.map(asText), ...projects.map(projectText)]
  process.stdout.write(
    json ? `${JSON.stringify({ schema: 'modmesh.pins/1', ...report })}\n` : lines.join(''),
  )
  // Not on stdout: a script counts lines there.
  if (lost) note('the pins cannot be read: nothing is removed until you pin again')
  else if (lines.length === 0) note('nothing is pinned')
  return report
}

function projectText({ name, versions, zips, bytes }: ProjectLine): string {
  const held = `${zips} of ${versions} ${plural(versions, 'zip')} held, ${formatBytes(bytes)}`
  return `project ${escapeInvisible(name)}  ${held}\n`
}

function asText({ pin: name, zips, bytes }: PinLine): string {
  const held = `${zips} ${plural(zips, 'zip')}, ${formatBytes(bytes)}`
  return `${name}  ${zips === 0 ? 'nothing held yet' : held}\n`
}

function note(text: string): void {
  process.stderr.write(`modmesh: ${text}\n`)
}

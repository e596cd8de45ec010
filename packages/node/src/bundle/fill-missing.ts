import type { Answer, AskOptions, ModuleSource } from '@modmesh/fill'
import type { ModuleVersion } from '@modmesh/module'
import type { BundleWish, DiskStore } from '@modmesh/store'
import { errorText } from '../errors.ts'
import type { MissingLine } from './results.ts'

/** Asked for at once: as many as a `go` command of a large machine asks. */
const askedAtOnce = 16
/** A part is answered before it is durable, and found when it is. Milliseconds. */
const durableWaitMs = 30_000
const durableLookMs = 20

interface FillMissing {
  readonly store: DiskStore
  readonly source: Pick<ModuleSource, 'zip' | 'mod' | 'info'>
  readonly signal: AbortSignal
  readonly onDone: (done: number, of: number) => void
}

type Part = { readonly what: 'zip' | 'mod' | 'info'; readonly module: ModuleVersion }

/** Has everything fetched that is wished for and not held; returns why what could not be had was not. */
export async function fillMissing(
  wish: BundleWish,
  { store, source, signal, onDone }: FillMissing,
): Promise<ReadonlyMap<string, string>> {
  const reasons = new Map<string, string>()
  const parts: Part[] = []
  for (const part of partsOf(wish)) if (!(await isHeld(store, part))) parts.push(part)
  let done = 0
  const queue = parts.values()
  const work = async (): Promise<void> => {
    for (const part of queue) {
      signal.throwIfAborted()
      try {
        await ask(source, part, { signal, asker: { kind: 'prefetch' } })
        await untilHeld(store, part, signal)
      } catch (error) {
        signal.throwIfAborted()
        reasons.set(nameOfPart(part), errorText(error))
      }
      onDone(++done, parts.length)
    }
  }
  await Promise.all(Array.from({ length: askedAtOnce }, work))
  return reasons
}

function nameOfPart({ what, module }: Part): string {
  return `${what} ${module.path}@${module.version}`
}

/** Says why a part is missing. */
export function missingLine(part: Part, reasons: ReadonlyMap<string, string>): MissingLine {
  const { what, module } = part
  const reason = reasons.get(nameOfPart(part)) ?? 'not held'
  return { what, name: `${module.path}@${module.version}`, reason }
}

function* partsOf({ zips, mods, infos }: BundleWish): Generator<Part> {
  // Small ones first: they are quick, and zips take the line.
  for (const module of mods) yield { what: 'mod', module }
  for (const module of infos) yield { what: 'info', module }
  for (const module of zips) yield { what: 'zip', module }
}

async function isHeld(store: DiskStore, { what, module }: Part): Promise<boolean> {
  if (what === 'zip') return (await store.findZip(module)) !== undefined
  return (await store.findRecord(module))?.[what] !== undefined
}

function ask(
  source: FillMissing['source'],
  { what, module }: Part,
  options: AskOptions,
): Promise<Answer<unknown>> {
  return source[what](module, options)
}

async function untilHeld(store: DiskStore, part: Part, signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; !(await isHeld(store, part)); waitedMs += durableLookMs) {
    signal.throwIfAborted()
    if (waitedMs >= durableWaitMs) throw new Error('it came, and the disk did not take it')
    await new Promise((resolve) => setTimeout(resolve, durableLookMs))
  }
}

import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import type { DiskStore } from '@modmesh/store'
import { errorText } from './errors.ts'

/** One thing that was bad, and what became of it. */
interface BadLine {
  readonly module: string
  readonly what: 'zip' | 'mod'
  readonly reason: string
  /** Where it was fetched anew from; null when it was not. */
  readonly repairedFrom: string | null
  /** Why it was not; null when it was. */
  readonly notRepaired: string | null
}

/** What `verify` found. */
export interface VerifyReport {
  readonly zips: number
  readonly zipBytes: number
  readonly mods: number
  /** Set aside. */
  readonly bad: readonly BadLine[]
}

/** How far something is that takes a while. */
export interface Progress {
  readonly done: number
  readonly total: number
}

/** Fetches a part anew, and says from where. Throws when nobody has it. */
export type Repair = (
  module: ModuleVersion,
  what: 'zip' | 'mod',
  options: { readonly signal: AbortSignal },
) => Promise<string>

/** Hashes everything that is held, and has fetched anew what is bad. */
export async function verifyStore(
  store: DiskStore,
  options: {
    readonly signal: AbortSignal
    readonly onProgress: (progress: Progress) => void
    /** Absent: no node is running that could. */
    readonly repair?: Repair | undefined
  },
): Promise<VerifyReport> {
  const { signal, onProgress, repair } = options
  const before = await store.stats()
  const total = before.zips + before.mods
  const counts = { zip: 0, mod: 0 }
  const bad: BadLine[] = []
  for await (const { module, what, ok, reason = '' } of store.verifyAll({ signal })) {
    counts[what] += 1
    onProgress({ done: counts.zip + counts.mod, total })
    if (ok) continue
    const outcome = await tryRepair(repair, module, what, signal)
    bad.push({ module: formatModuleVersion(module), what, reason, ...outcome })
  }
  const { zipBytes } = await store.stats()
  return { zips: counts.zip, zipBytes, mods: counts.mod, bad }
}

async function tryRepair(
  repair: Repair | undefined,
  module: ModuleVersion,
  what: 'zip' | 'mod',
  signal: AbortSignal,
): Promise<Pick<BadLine, 'repairedFrom' | 'notRepaired'>> {
  if (repair === undefined) return { repairedFrom: null, notRepaired: 'no node is running' }
  try {
    return { repairedFrom: await repair(module, what, { signal }), notRepaired: null }
  } catch (error) {
    signal.throwIfAborted()
    return { repairedFrom: null, notRepaired: errorText(error) }
  }
}

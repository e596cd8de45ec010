import { acceptChange, type FirstHash } from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { machineClock } from '@modmesh/peers'
import type { DiskStore } from '@modmesh/store'
import { toIso } from './iso-time.ts'

/** A part of a version that nobody can prove, and that is no longer what was first seen: refused until it is accepted. */
export interface ChangedLine {
  /** In conflict with what was seen first. `go` is told 502, with the same hashes. */
  readonly status: 409
  readonly module: string
  readonly part: 'zip' | 'mod'
  readonly first: string
  readonly seen: string
  /** Who sent it, without credentials. */
  readonly from: string
  /** When it was last sent, ISO 8601. */
  readonly at: string
  /** The command that takes the new one. */
  readonly accept: string
}

/** What `accept` did, and what waits now. */
export interface AcceptReport {
  readonly accepted: readonly ChangedLine[]
  readonly waiting: readonly ChangedLine[]
  /** Asked to be accepted, and nothing of it waits. */
  readonly unknown: readonly string[]
}

type Parts = Pick<DiskStore, 'firstHashes' | 'remove'>

/** Lists what waits to be accepted, in order of the names. Throws StoreDamagedError. */
export async function listChanged({ firstHashes }: Parts): Promise<readonly ChangedLine[]> {
  return (await firstHashes.changed()).flatMap(toLines)
}

/**
 * Makes what came later the first of the versions named; none only lists what waits. What is held of them goes, so
 * that the next request fetches it, and `onAccepted` may drop what others remember. Throws StoreDamagedError,
 * StoreWriteError.
 */
export async function acceptChanged(
  store: Parts,
  names: readonly string[],
  onAccepted: (module: ModuleVersion) => Promise<void>,
): Promise<AcceptReport> {
  const changed = await store.firstHashes.changed()
  const wanted = new Set(names)
  const accepted = changed.filter(({ module }) => wanted.delete(formatModuleVersion(module)))
  for (const { module } of accepted) {
    // First: after a crash in between it waits still, and is accepted once more.
    await store.remove(module)
    await store.firstHashes.update(module, acceptIfChanged)
    await onAccepted(module)
  }
  const waiting = await listChanged(store)
  return { accepted: accepted.flatMap(toLines), waiting, unknown: [...wanted] }
}

function acceptIfChanged(kept: FirstHash | undefined): FirstHash | undefined {
  return kept?.changed === undefined ? kept : acceptChange(kept, machineClock.wallMs())
}

function toLines(entry: FirstHash): readonly ChangedLine[] {
  const { module, changed } = entry
  if (changed === undefined) return []
  const name = formatModuleVersion(module)
  const at = toIso(changed.atMs)
  return (['zip', 'mod'] as const).flatMap((part): ChangedLine[] => {
    const [first, seen] = [entry[part], changed[part]]
    if (first === undefined || seen === undefined) return []
    const hashes = { first, seen, from: changed.from, at }
    return [{ status: 409, module: name, part, ...hashes, accept: `modmesh accept ${name}` }]
  })
}

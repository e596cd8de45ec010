import type { ModHash, ModuleVersion, ZipHash } from '@modmesh/module'
import { HashChangedError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import type { Published } from './private-modules.ts'
import { StoreFailure } from './store-failure.ts'

/** Hashes of the parts of a module version. */
export interface PartHashes {
  readonly zip?: ZipHash
  readonly mod?: ModHash
}

/** What was first seen of a module version for which nobody else vouches. */
export interface FirstHash extends PartHashes {
  readonly module: ModuleVersion
  /** Who of the mesh vouches for it, where somebody does. */
  readonly published?: Pick<Published, 'publisher' | 'statement'>
  /** When somebody last accepted a change: what was said before, and is not what counts, is overruled. Milliseconds since 1970. */
  readonly acceptedMs?: number
  /** What came since and is not the same; refused until somebody accepts it. */
  readonly changed?: PartHashes & {
    /** Who sent it, never with credentials. */
    readonly from: string
    /** When it was last sent, milliseconds since 1970. */
    readonly atMs: number
  }
}

/** Keeps the first hashes for good. What is kept must neither get lost nor go back. */
export interface FirstHashes {
  /**
   * Replaces what is kept of a version by what `change` makes of it, with no other change in between; durable when
   * it resolves. The same object back writes nothing.
   */
  update(
    module: ModuleVersion,
    change: (kept: FirstHash | undefined) => FirstHash | undefined,
  ): Promise<void>
}

/**
 * Compares a part with the first one seen of a version that nobody can prove, and keeps its hash when it is the
 * first. Throws HashChangedError for another one, StoreFailure.
 */
export async function checkFirstHash(
  ctx: FillContext,
  module: ModuleVersion,
  seen: PartHashes & {
    readonly from: string
    /** Kept with it, when it says the same. */
    readonly published?: Published
  },
): Promise<void> {
  if (ctx.firstHashes === undefined) return
  const { from, published, ...hashes } = seen
  let changed: HashChangedError | undefined
  const atMs = ctx.clock.wallMs()
  const change = (kept: FirstHash | undefined): FirstHash => {
    const first = { ...kept, module }
    if (hashes.zip !== undefined) changed = compare(first, 'zip', hashes.zip, from)
    if (hashes.mod !== undefined) changed ??= compare(first, 'mod', hashes.mod, from)
    if (changed !== undefined) {
      const others = differing(first, hashes)
      return { ...first, changed: { ...kept?.changed, ...others, from, atMs } }
    }
    const vouched = published && !isSaidBy(kept, published) ? statementOf(published) : {}
    const isKnown = isConfirmed(kept, hashes) && Object.keys(vouched).length === 0
    return isKnown ? kept : withoutChange({ ...first, ...hashes, ...vouched }, hashes)
  }
  try {
    await ctx.firstHashes.update(module, change)
  } catch (error) {
    throw new StoreFailure(error)
  }
  if (changed === undefined) return
  ctx.emit({ kind: 'hash-changed', module, error: changed })
  throw changed
}

/** What was seen first of a version, here. Throws StoreFailure. */
export async function readFirstHash(
  ctx: FillContext,
  module: ModuleVersion,
): Promise<FirstHash | undefined> {
  let found: FirstHash | undefined
  try {
    await ctx.firstHashes?.update(module, (kept) => {
      found = kept
      return kept
    })
  } catch (error) {
    throw new StoreFailure(error)
  }
  return found
}

/** What is kept once somebody accepted what came since: of a part that did not change the next one counts as first. */
export function acceptChange({ module, changed }: FirstHash, acceptedMs: number): FirstHash {
  const { zip, mod } = changed ?? {}
  return { module, ...(zip && { zip }), ...(mod && { mod }), acceptedMs }
}

/** Whether a statement is of before somebody accepted something else than it says. */
export function isOverruled(
  kept: FirstHash | undefined,
  { zip, mod, publisher }: Published,
): boolean {
  if (kept?.acceptedMs === undefined || publisher.atMs > kept.acceptedMs) return false
  const isSame = (kept.zip ?? zip) === zip && (kept.mod ?? mod) === mod
  return !isSame
}

function isSaidBy(kept: FirstHash | undefined, { statement }: Published): boolean {
  const known = kept?.published?.statement
  return known !== undefined && Buffer.compare(known, statement) === 0
}

function statementOf({ publisher, statement }: Published): Pick<FirstHash, 'published'> {
  return { published: { publisher, statement } }
}

function compare(
  kept: FirstHash,
  part: 'zip' | 'mod',
  seen: ZipHash | ModHash,
  from: string,
): HashChangedError | undefined {
  const first = kept[part]
  if (first === undefined || first === seen) return undefined
  return new HashChangedError(kept.module, { part, first, seen, from })
}

/** Of several hashes those that are not as they were first seen. */
function differing(first: PartHashes, { zip, mod }: PartHashes): PartHashes {
  return {
    ...(zip !== undefined && zip !== first.zip && { zip }),
    ...(mod !== undefined && mod !== first.mod && { mod }),
  }
}

/** Whether all of it was seen before, and nothing else since. */
function isConfirmed(kept: FirstHash | undefined, hashes: PartHashes): kept is FirstHash {
  const parts = ['zip', 'mod'] as const
  return parts.every(
    (part) =>
      hashes[part] === undefined ||
      (kept?.[part] === hashes[part] && kept?.changed?.[part] === undefined),
  )
}

/** Whoever sent something else sends the first again: the conflict about that part is over. */
function withoutChange(first: FirstHash, confirmed: PartHashes): FirstHash {
  const { changed, ...kept } = first
  if (changed === undefined) return kept
  const { zip, mod, ...seen } = changed
  const rest = {
    ...(zip !== undefined && confirmed.zip === undefined && { zip }),
    ...(mod !== undefined && confirmed.mod === undefined && { mod }),
  }
  return Object.keys(rest).length === 0 ? kept : { ...kept, changed: { ...seen, ...rest } }
}

import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { agreePublished } from './agree-published.ts'
import { ModuleNotFoundError, PublishersDisagreeError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { checkFirstHash, isOverruled, readFirstHash } from './first-hashes.ts'
import { maxRecordsPerSearch } from './limits.ts'
import type { Published, PublishedRecord } from './private-modules.ts'
import { isOf } from './record-search.ts'
import { noLongerNeeded, Scope, until } from './scope.ts'

/** What the publishers of the mesh agree on, and the members that told. */
export interface FoundPublished {
  readonly published: Published
  readonly records: readonly PublishedRecord[]
}

/** A search for what publishers say of a version. */
interface Search {
  readonly ms: number
  readonly signal: AbortSignal
  /** Whether a member has what is looked for: once one has, the others are not waited for long. */
  readonly isEnough?: (record: PublishedRecord) => boolean
}

/**
 * Asks members what publishers say of a private version, for `ms` at most, and holds it against what was
 * first seen. Undefined where nobody has a statement that counts. Throws PublishersDisagreeError,
 * HashChangedError, StoreFailure; ModuleNotFoundError where all that there is was refused.
 */
export async function searchPublished(
  ctx: FillContext,
  module: ModuleVersion,
  search: Search,
): Promise<FoundPublished | undefined> {
  const refused = new Set<string>()
  const records = await ask(ctx, module, search, (reason) => refused.add(reason))
  const kept = records.length === 0 ? undefined : await readFirstHash(ctx, module)
  const counting = records.filter((record) => !isOverruled(kept, record.published))
  const published = agreed(ctx, module, counting)
  if (published === undefined) {
    if (refused.size > 0) throw allRefused(module, refused)
    return undefined
  }
  const { zip, mod, publisher } = published
  await checkFirstHash(ctx, module, { zip, mod, from: `publisher ${publisher.name}`, published })
  return { published, records: counting.filter((record) => saysSame(record.published, published)) }
}

function saysSame({ zip, mod }: Published, other: Published): boolean {
  return zip === other.zip && mod === other.mod
}

async function ask(
  ctx: FillContext,
  module: ModuleVersion,
  { ms, signal, isEnough = () => true }: Search,
  onRefused: (reason: string) => void,
): Promise<readonly PublishedRecord[]> {
  const records: PublishedRecord[] = []
  const startedMs = ctx.clock.monotonicMs()
  const scope = new Scope(signal)
  endAfter(ctx, scope, ms)
  try {
    const found = ctx.privateMesh?.findRecords(module, { signal: scope.signal, onRefused }) ?? []
    for await (const record of until(asAsync(found), scope.signal)) {
      // The others have the time of a question to say otherwise.
      if (isEnough(record)) endAfter(ctx, scope, ctx.budgets.haveQueryMs)
      if (isOf(record, module)) records.push(record)
      else ctx.blame(record.peer, module, 'sent a record of another module version')
      if (records.length >= maxRecordsPerSearch) break
    }
  } catch {
    // A mesh that cannot answer knows nothing: the other ways decide.
  } finally {
    ctx.background(scope.close())
    const answers = records.map(({ peer, holdsZip }) => ({ peer, holdsZip }))
    ctx.emit({ kind: 'peers-told', module, answers, tookMs: ctx.clock.monotonicMs() - startedMs })
  }
  signal.throwIfAborted()
  return records
}

function endAfter(ctx: FillContext, scope: Scope, ms: number): void {
  const timer = scope.start((signal) => ctx.clock.sleep(ms, { signal }))
  ctx.background(timer.then(() => scope.abort(noLongerNeeded)))
}

function agreed(
  ctx: FillContext,
  module: ModuleVersion,
  records: readonly PublishedRecord[],
): Published | undefined {
  try {
    return agreePublished(
      module,
      records.map(({ published }) => published),
    )
  } catch (error) {
    if (error instanceof PublishersDisagreeError) {
      ctx.emit({ kind: 'published-refused', module, reason: error.message })
    }
    throw error
  }
}

function allRefused(module: ModuleVersion, reasons: ReadonlySet<string>): Error {
  const name = formatModuleVersion(module)
  const message = [`${name}: no statement of a publisher counts`, ...reasons].join('\n')
  return new ModuleNotFoundError(message)
}

async function* asAsync<T>(items: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T> {
  yield* items
}

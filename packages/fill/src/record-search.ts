import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { Changes } from './changes.ts'
import type { FillContext } from './fill-context.ts'
import { maxRecordsPerSearch } from './limits.ts'
import type { ModuleRecord } from './peers.ts'
import { noLongerNeeded, type Scope, until } from './scope.ts'

/**
 * Asks the mesh about a module version; undefined when it may not be asked, or just knew nothing of it
 * and upstream can be asked: `go` asks for the parts of a version one after another.
 */
export function searchRecords(
  ctx: FillContext,
  module: ModuleVersion,
  scope: Scope,
): RecordSearch | undefined {
  if (!ctx.canAskPeers(module.path)) return undefined
  if (!ctx.canAskUpstream(module.path)) return new RecordSearch(ctx, module, scope)
  if (ctx.strangers.has(formatModuleVersion(module))) return undefined
  // In a cold build every search would cost a message to each peer, and find nothing.
  const delayMs = ctx.headStart.mayWait() ? ctx.budgets.haveQueryMs : 0
  return new RecordSearch(ctx, module, scope, { delayMs })
}

/** One question to the mesh about a module version, and the answers so far; any number may read them. */
export class RecordSearch {
  readonly #seen: ModuleRecord[] = []
  #isDone = false
  readonly #changes = new Changes()

  constructor(
    ctx: FillContext,
    module: ModuleVersion,
    scope: Scope,
    init: { readonly delayMs: number } = { delayMs: 0 },
  ) {
    const end = () => this.#end()
    // A mesh that cannot answer knows nothing: the other ways decide.
    ctx.background(this.#run(ctx, module, scope, init.delayMs).then(end, end))
  }

  /** The answers so far, in their order. */
  get seen(): readonly ModuleRecord[] {
    return this.#seen
  }

  /** Every answer: those that came, then those that come. Ends with the search. */
  async *records(): AsyncGenerator<ModuleRecord> {
    for (let next = 0; ; next++) {
      while (next >= this.#seen.length && !this.#isDone) await this.#changes.next
      const record = this.#seen[next]
      if (record === undefined) return
      yield record
    }
  }

  async #run(
    ctx: FillContext,
    module: ModuleVersion,
    scope: Scope,
    delayMs: number,
  ): Promise<void> {
    const cut = new AbortController()
    const stop = () => cut.abort(noLongerNeeded)
    scope.signal.addEventListener('abort', stop, { once: true })
    try {
      if (scope.signal.aborted) return
      if (delayMs > 0) await ctx.clock.sleep(delayMs, cut)
      ctx.background(ctx.clock.sleep(ctx.budgets.meshOnlyMs, { signal: cut.signal }).then(stop))
      await this.#ask(ctx, module, cut)
    } finally {
      stop()
      scope.signal.removeEventListener('abort', stop)
    }
  }

  async #ask(
    ctx: FillContext,
    module: ModuleVersion,
    cut: { readonly signal: AbortSignal },
  ): Promise<void> {
    const startedMs = ctx.clock.monotonicMs()
    const tookMs = () => ctx.clock.monotonicMs() - startedMs
    try {
      for await (const record of until(ctx.peers.findRecords(module, cut), cut.signal)) {
        ctx.headStart.found()
        if (isOf(record, module)) this.#add(record)
        else ctx.blame(record.peer, module, 'sent a record of another module version')
        if (this.#seen.length >= maxRecordsPerSearch) return
      }
      // Others had the answer: peers that were too late for their head start are treated as no.
      const isCut = cut.signal.aborted && tookMs() < ctx.budgets.headStartMs
      if (this.#seen.length > 0 || isCut) return
      ctx.headStart.missed()
      ctx.strangers.add(formatModuleVersion(module))
    } finally {
      const answers = this.#seen.map(({ peer, holdsZip }) => ({ peer, holdsZip }))
      ctx.emit({ kind: 'peers-told', module, answers, tookMs: tookMs() })
    }
  }

  #add(record: ModuleRecord): void {
    this.#seen.push(record)
    this.#changes.tell()
  }

  #end(): void {
    this.#isDone = true
    this.#changes.tell()
  }
}

/** Whether a record speaks of a module version. */
export function isOf(record: Pick<ModuleRecord, 'module'>, module: ModuleVersion): boolean {
  return formatModuleVersion(record.module) === formatModuleVersion(module)
}

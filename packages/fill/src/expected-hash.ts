import type { ModuleVersion, ZipHash } from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import type { FillContext } from './fill-context.ts'
import { withNeed } from './needed-sum.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import { keepAllVerified } from './peer-facts.ts'
import { type RecordSearch, searchRecords } from './record-search.ts'
import { relaySums } from './relay.ts'
import { resolveSums } from './resolve-sums.ts'
import { handled, type Scope } from './scope.ts'
import type { RaceView } from './zip-race.ts'
import type { Reach } from './zip-reach.ts'

export interface ExpectedHashInit {
  readonly module: ModuleVersion
  readonly reach: Reach
  /** Called with what answered for records so far, too. */
  readonly onFound: (zipHash: ZipHash, records: RecordSearch | undefined) => void
  readonly onError: (error: unknown) => void
  readonly onChange: () => void
}

/** What a zip must hash to: looked for while it is being fetched. */
export class ExpectedHash {
  readonly #ctx: FillContext
  readonly #work: Scope
  readonly #init: ExpectedHashInit
  readonly #zipHash = Promise.withResolvers<ZipHash>()
  #state: RaceView['expected'] = 'searching'
  #haveRecordsFailed: boolean
  #records: RecordSearch | undefined

  constructor(ctx: FillContext, work: Scope, init: ExpectedHashInit) {
    this.#ctx = ctx
    this.#work = work
    this.#init = init
    this.#haveRecordsFailed = !ctx.canAskPeers(init.module.path)
    void handled(this.#zipHash.promise)
  }

  /** Resolves when it is known, rejects when it cannot be found. */
  get zipHash(): Promise<ZipHash> {
    return this.#zipHash.promise
  }

  /** What the race sees of it. */
  view(): Pick<RaceView, 'expected' | 'recordsDone'> {
    return { expected: this.#state, recordsDone: this.#haveRecordsFailed }
  }

  /** Finds it with its proof. Throws what `resolveSums` throws; with less reach NobodyHasItError. */
  async find(): Promise<ProvenSums> {
    const { reach, onError, onChange } = this.#init
    try {
      const isFree = reach.kind === 'anybody'
      const sums = isFree ? await this.#resolve() : await this.#findNear(reach)
      this.#found(sums)
      return sums
    } catch (error) {
      this.#state = 'failed'
      onError(error)
      this.#zipHash.reject(error)
      throw error
    } finally {
      onChange()
    }
  }

  async #resolve(): Promise<ProvenSums> {
    const { module, onChange } = this.#init
    const search = () => {
      this.#records = searchRecords(this.#ctx, module, this.#work)
      return this.#records
    }
    const onPeersFailed = () => {
      this.#haveRecordsFailed = true
      onChange()
    }
    const options = { signal: this.#work.signal, search, onPeersFailed }
    return await resolveSums(this.#ctx, module, 'zip', options)
  }

  /** What is known, or what the owner can prove. */
  async #findNear(reach: Exclude<Reach, { kind: 'anybody' }>): Promise<ProvenSums> {
    const { module } = this.#init
    const known = await this.#ctx.checksumDb.known(module)
    if (known?.zip !== undefined) return known
    if (reach.kind === 'near') throw new NobodyHasItError()
    const sums = await relaySums(this.#ctx, module, 'zip', reach.owner, this.#work)
    if (sums === undefined) throw new NobodyHasItError()
    return sums
  }

  #found(sums: ProvenSums): void {
    const { module, onFound } = this.#init
    this.#state = 'known'
    const zipHash = withNeed(sums, 'zip').zip
    this.#zipHash.resolve(zipHash)
    onFound(zipHash, this.#records)
    keepAllVerified(this.#ctx, module, this.#records?.seen ?? [], sums)
  }
}

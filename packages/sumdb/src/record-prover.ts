import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { SumdbUnavailableError, SumdbUntrustedError } from './errors.ts'
import { Flights } from './flights.ts'
import type { HeadKeeper, OwnHead } from './head-keeper.ts'
import type { ProvenSums } from './proven-sums.ts'
import { type LookupAnswer, parseLookup, readGoSum } from './record.ts'
import { lookupPath, type RecordShelf } from './record-shelf.ts'
import type { Refusals } from './refusals.ts'
import type { SumdbOps } from './sumdb-ops.ts'
import type { TileReadOptions } from './tile-reader.ts'
import { equalHashes, hashLeaf } from './tlog.ts'

/** Proves records under our head: those the database is asked for, and those kept from before. */
export class RecordProver {
  readonly #ops: Pick<SumdbOps, 'readRemote'>
  readonly #heads: HeadKeeper
  readonly #shelf: RecordShelf
  readonly #refusals: Refusals
  readonly #database: string
  readonly #lookups = new Flights<ProvenSums>()

  constructor(
    components: {
      readonly ops: Pick<SumdbOps, 'readRemote'>
      readonly heads: HeadKeeper
      readonly shelf: RecordShelf
      readonly refusals: Refusals
    },
    init: { readonly database: string },
  ) {
    this.#ops = components.ops
    this.#heads = components.heads
    this.#shelf = components.shelf
    this.#refusals = components.refusals
    this.#database = init.database
  }

  /** Asks the database, once for all who wait for the same module version. */
  lookup(module: ModuleVersion, signal: AbortSignal): Promise<ProvenSums> {
    return this.#lookups.run(formatModuleVersion(module), signal, (flight) =>
      this.#fetch(module, flight),
    )
  }

  /** Checks a record's leaf against our tree and gives it the proof to show for it. */
  async proveUnder(
    own: OwnHead,
    module: ModuleVersion,
    { id, text }: { readonly id: number; readonly text: string },
    options: TileReadOptions,
  ): Promise<ProvenSums> {
    const { leaf, hashes } = await own.proveRecord(id, options)
    if (!equalHashes(leaf, hashLeaf(text))) {
      throw new SumdbUntrustedError(`record ${id} is not what the signed tree holds there`)
    }
    const record = { database: this.#database, id, text, hashes, head: own.head.note }
    return this.#shelf.provenBy(module, record)
  }

  /** Asks; and once more the database itself when what came does not verify, since a peer may have lied. */
  async #fetch(module: ModuleVersion, signal: AbortSignal): Promise<ProvenSums> {
    const path = lookupPath(module)
    const body = await this.#ops.readRemote(path, { signal })
    try {
      return await this.#admit(module, body, signal)
    } catch (error) {
      if (!(error instanceof SumdbUntrustedError)) throw error
      const again = await this.#ops.readRemote(path, { signal, databaseOnly: true }).catch(() => {
        // Whatever keeps the database from answering: known for sure is that a wrong answer came.
        throw error
      })
      return await this.#admitLast(module, again, signal)
    }
  }

  /** Keeps what the database itself answered when that does not verify either. */
  async #admitLast(
    module: ModuleVersion,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<ProvenSums> {
    try {
      return await this.#admit(module, bytes, signal)
    } catch (error) {
      if (error instanceof SumdbUntrustedError) {
        const head = (await this.#heads.current())?.head.note
        this.#refusals.keep({ path: lookupPath(module), reason: error.message, head, bytes })
      }
      throw error
    }
  }

  async #admit(module: ModuleVersion, body: Uint8Array, signal: AbortSignal): Promise<ProvenSums> {
    const answer = parseLookup(body)
    readGoSum(answer.text, module)
    const own = await this.#heads.current()
    const merging = this.#heads.merge(answer.note, { signal })
    const sums =
      own !== undefined && answer.id < own.head.size
        ? await this.#proveWhile(merging, own, module, answer, signal)
        : await this.#proveAfter(await merging, module, answer, signal)
    await this.#heads.refuseAfterFork()
    return this.#shelf.keep(module, sums)
  }

  /** Proves a record that our head covers already, while the head it came with is reconciled. */
  async #proveWhile(
    merging: Promise<OwnHead>,
    own: OwnHead,
    module: ModuleVersion,
    answer: LookupAnswer,
    signal: AbortSignal,
  ): Promise<ProvenSums> {
    const proving = this.proveUnder(own, module, answer, { signal, reach: 'remote' })
    const [merged, proven] = await Promise.allSettled([merging, proving])
    // The record does not depend on the other head; tiles for that one may come next time.
    if (merged.status === 'rejected' && !(merged.reason instanceof SumdbUnavailableError)) {
      throw merged.reason
    }
    if (proven.status === 'rejected') throw proven.reason
    return proven.value
  }

  #proveAfter(
    own: OwnHead,
    module: ModuleVersion,
    answer: LookupAnswer,
    signal: AbortSignal,
  ): Promise<ProvenSums> {
    if (answer.id >= own.head.size) {
      throw new SumdbUntrustedError(`record ${answer.id} is beyond the signed tree`)
    }
    return this.proveUnder(own, module, answer, { signal, reach: 'remote' })
  }
}

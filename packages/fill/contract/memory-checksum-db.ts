import {
  formatModuleVersion,
  type ModHash,
  type ModuleVersion,
  type ZipHash,
} from '@modmesh/module'
import type {
  ChecksumDb,
  ChecksumDbErrorCode,
  ProvenSums,
  RecordProof,
} from '../src/checksum-db.ts'
import type { Clock } from '../src/clock.ts'
import { abortReason } from '../src/scope.ts'

/** An error as the real database client throws it: told by its code. */
export class FakeDbError extends Error {
  readonly code: ChecksumDbErrorCode
  constructor(code: ChecksumDbErrorCode) {
    super(code)
    this.name = 'FakeDbError'
    this.code = code
  }
}

/** The log itself: one for all nodes of a test. A record is true when it reads as the log's own. */
export class MemoryLog {
  readonly name = 'sum.example'
  readonly #records = new Map<string, ProvenSums & { readonly record: RecordProof }>()

  /** Appends the record of a module version, and returns it. */
  add(
    module: ModuleVersion,
    sums: { readonly zip: ZipHash | undefined; readonly mod: ModHash | undefined },
  ): ProvenSums & { readonly record: RecordProof } {
    const id = this.#records.size
    const database = this.name
    const zipLine = sums.zip === undefined ? '' : `${module.path} ${module.version} ${sums.zip}\n`
    const modLine =
      sums.mod === undefined ? '' : `${module.path} ${module.version}/go.mod ${sums.mod}\n`
    const record = {
      database,
      id,
      text: zipLine + modLine,
      hashes: [],
      head: `signed by ${database}`,
    }
    const proven = {
      ...sums,
      proof: { kind: 'checksum-db', database, record: id },
      record,
    } as const
    this.#records.set(formatModuleVersion(module), proven)
    return proven
  }

  find(module: ModuleVersion): (ProvenSums & { readonly record: RecordProof }) | undefined {
    return this.#records.get(formatModuleVersion(module))
  }
}

/** One node's view of the log, with the troubles a real one has. */
export class MemoryChecksumDb implements ChecksumDb {
  readonly log: MemoryLog
  readonly #clock: Clock
  readonly #known: Map<string, ProvenSums>
  /** False: switched off, or every path is private. */
  isOn = true
  /** `down` fails at once, `hang` never answers and ignores its signal, `stall` waits for the signal. */
  fault: 'none' | 'down' | 'stall' | 'hang' | 'fork' = 'none'
  delayMs = 0
  lookups = 0

  /** `known` is what outlives it, as the cache on a disk does. */
  constructor(log: MemoryLog, clock: Clock, known: Map<string, ProvenSums> = new Map()) {
    this.log = log
    this.#known = known
    this.#clock = clock
  }

  covers(): boolean {
    return this.isOn
  }

  async known(module: ModuleVersion): Promise<ProvenSums | undefined> {
    return this.#known.get(formatModuleVersion(module))
  }

  /** Makes sums known without a question, as a go.sum or an earlier lookup would. */
  learn(module: ModuleVersion, sums: ProvenSums): void {
    this.#known.set(formatModuleVersion(module), sums)
  }

  async lookup(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<ProvenSums> {
    this.lookups++
    await this.#answerTime(options.signal)
    const found = this.log.find(module)
    if (found === undefined) throw new FakeDbError('SUMDB_NOT_FOUND')
    this.learn(module, found)
    return found
  }

  async verifyRecord(
    module: ModuleVersion,
    record: RecordProof,
    options: { readonly signal: AbortSignal },
  ): Promise<ProvenSums> {
    options.signal.throwIfAborted()
    const truth = this.log.find(module)
    const isTrue = truth?.record.text === record.text && truth.record.head === record.head
    if (!isTrue) throw new FakeDbError('SUMDB_UNTRUSTED')
    this.learn(module, truth)
    return truth
  }

  async #answerTime(signal: AbortSignal): Promise<void> {
    if (this.fault === 'down') throw new FakeDbError('SUMDB_UNAVAILABLE')
    if (this.fault === 'fork') throw new FakeDbError('SUMDB_FORK')
    if (this.fault === 'hang') await new Promise(() => {})
    if (this.fault === 'stall') await untilAborted(signal)
    if (this.delayMs > 0) await this.#clock.sleep(this.delayMs, { signal })
  }
}

/** Waits for the signal, then throws its reason. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(abortReason(signal))
    else signal.addEventListener('abort', () => reject(abortReason(signal)), { once: true })
  })
}

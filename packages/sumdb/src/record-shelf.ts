import {
  escapeModulePath,
  escapeVersion,
  formatModuleVersion,
  type ModuleVersion,
} from '@modmesh/module'
import type { CacheWriter } from './cache-writer.ts'
import { SumdbUntrustedError } from './errors.ts'
import { maxProofHashes, maxRecordsInMemory } from './limits.ts'
import type { ProvenSums, RecordProof } from './proven-sums.ts'
import { Recent } from './recent.ts'
import { isRecordText, readGoSum } from './record.ts'
import { formatStoredRecord, parseStoredRecord } from './stored-record.ts'
import type { SumdbOps } from './sumdb-ops.ts'
import { checkRecord, hashBytes, hashLeaf } from './tlog.ts'
import type { SignedHead } from './tree-head.ts'

/** The path of a module version's lookup, at the database and in the cache. */
export function lookupPath(module: ModuleVersion): string {
  return `/lookup/${escapeModulePath(module.path)}@${escapeVersion(module.version)}`
}

/** Keeps proven records, each with its proof, so that what the cache gives back proves itself again. */
export class RecordShelf {
  readonly #ops: Pick<SumdbOps, 'readCache' | 'dropCache'>
  readonly #writer: CacheWriter
  readonly #database: string
  readonly #open: (note: string) => SignedHead
  readonly #held = new Recent<string, ProvenSums>(maxRecordsInMemory)

  constructor(
    components: { readonly ops: SumdbOps; readonly writer: CacheWriter },
    init: { readonly database: string; readonly open: (note: string) => SignedHead },
  ) {
    this.#ops = components.ops
    this.#writer = components.writer
    this.#database = init.database
    this.#open = init.open
  }

  /** Finds a kept record; one that no longer proves itself is dropped. */
  async find(module: ModuleVersion): Promise<ProvenSums | undefined> {
    const held = this.#held.get(formatModuleVersion(module))
    if (held !== undefined) return held
    const path = lookupPath(module)
    const bytes = this.#writer.pending(path) ?? (await this.#ops.readCache(path))
    if (bytes === undefined) return undefined
    try {
      return this.hold(module, this.verify(module, this.#parse(bytes)))
    } catch (error) {
      if (!(error instanceof SumdbUntrustedError)) throw error
      await this.#ops.dropCache(path)
      return undefined
    }
  }

  /**
   * Checks a record by its own proof: the signed head, the inclusion, and that it is of this module
   * version. Throws SumdbUntrustedError.
   */
  verify(module: ModuleVersion, record: RecordProof): ProvenSums {
    if (record.database !== this.#database) refuse(`it is of ${record.database.slice(0, 200)}`)
    if (!isRecordText(record.text)) refuse('malformed record')
    if (record.hashes.length > maxProofHashes) refuse('too many hashes')
    if (record.hashes.some((hash) => hash.length !== hashBytes)) refuse('malformed hash')
    const tree = this.#open(record.head)
    const leaf = hashLeaf(record.text)
    if (!checkRecord(record.hashes, tree, { id: record.id, leaf })) {
      refuse('it is not in the signed tree')
    }
    return this.provenBy(module, { ...record, head: tree.note })
  }

  /** Reads the hashes out of a record whose inclusion was checked. Throws SumdbUntrustedError. */
  provenBy(module: ModuleVersion, record: RecordProof): ProvenSums {
    const proof = { kind: 'checksum-db', database: this.#database, record: record.id } as const
    return { ...readGoSum(record.text, module), proof, record }
  }

  /** Keeps a proven record in memory only. */
  hold(module: ModuleVersion, sums: ProvenSums): ProvenSums {
    this.#held.set(formatModuleVersion(module), sums)
    return sums
  }

  /** Keeps a proven record in memory and, behind the answer, in the cache. */
  keep(module: ModuleVersion, sums: ProvenSums): ProvenSums {
    this.#writer.write(lookupPath(module), formatStoredRecord(sums.record))
    return this.hold(module, sums)
  }

  #parse(bytes: Uint8Array): RecordProof {
    return { database: this.#database, ...parseStoredRecord(bytes) }
  }
}

function refuse(reason: string): never {
  throw new SumdbUntrustedError(`checksum-database record refused: ${reason}`)
}

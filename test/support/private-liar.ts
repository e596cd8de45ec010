import { createHash } from 'node:crypto'
import type { HeldZip, PublishedRecord } from '@modmesh/fill'
import {
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  parseZipDigest,
  type Version,
  type ZipHash,
} from '@modmesh/module'
import type { PrivateShelf } from '@modmesh/peers'
import { joinMember } from './joined-member.ts'

/** A member that may have private modules, and sends other bytes than a publisher signed. */
export interface PrivateLiar extends AsyncDisposable {
  readonly peerId: string
  /** Whether it has got a true statement to lie with. */
  hasStatement(): Promise<boolean>
  /** How often its bytes were asked for. */
  bodiesAsked(): number
}

/** Starts one in this process; it joins with a ticket. */
export async function startPrivateLiar(
  ticket: string,
  module: ModuleVersion,
): Promise<PrivateLiar> {
  const privateShelf = new LyingShelf(module)
  const member = await joinMember(ticket, { privateShelf })
  return {
    peerId: member.node.peerId,
    async hasStatement() {
      const options = { signal: AbortSignal.timeout(1_000), onRefused: () => {} }
      for await (const record of member.node.privates.findRecords(module, options)) {
        // Others may have the statement alone.
        if (record.mod !== undefined) privateShelf.truth = record
      }
      return privateShelf.truth !== undefined
    },
    bodiesAsked: () => privateShelf.bodiesAsked,
    [Symbol.asyncDispose]: () => member[Symbol.asyncDispose](),
  }
}

class LyingShelf implements PrivateShelf {
  bodiesAsked = 0
  truth: PublishedRecord | undefined
  readonly #module: ModuleVersion
  readonly #bytes = new Uint8Array(1_000).fill(7)

  constructor(module: ModuleVersion) {
    this.#module = module
  }

  async *paths(): AsyncGenerator<ModulePath> {
    yield this.#module.path
  }

  onAdded(): () => void {
    return () => {}
  }

  async record(module: ModuleVersion): ReturnType<PrivateShelf['record']> {
    if (this.truth === undefined) return undefined
    if (formatModuleVersion(module) !== formatModuleVersion(this.#module)) return undefined
    const { info, mod, published } = this.truth
    return { info, mod, statement: published.statement, holdsZip: true }
  }

  async versions(): Promise<readonly Version[]> {
    return [this.#module.version]
  }

  async findContent(zipHash: ZipHash): Promise<HeldZip | undefined> {
    this.bodiesAsked += 1
    const bytes = this.#bytes
    return {
      module: this.#module,
      zipHash,
      zipDigest: parseZipDigest(createHash('sha256').update(bytes).digest('hex')),
      size: bytes.length,
      proof: { kind: 'upstream' },
      async *read() {
        yield bytes
      },
    }
  }
}

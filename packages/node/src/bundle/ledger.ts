import { join } from 'node:path'
import { DurableFile } from '@modmesh/store'
import * as v from 'valibot'

/** Bundles of one signer that others were made on top of, and sizes of our own trees in bundles: the latest of each. */
const maxKept = 256

interface Signer {
  /** Said by somebody to be believed. */
  readonly isAccepted: boolean
  /** Records of the largest tree that a bundle of it had. */
  readonly treeSize: number
  /** Ids of bundles on top of which later ones were made, which came in. */
  readonly superseded: readonly string[]
}

interface Ledger {
  readonly signers: Readonly<Record<string, Signer>>
  /** Sizes of the trees of bundles that were made here. */
  readonly exported: readonly number[]
}

const ledgerSchema: v.GenericSchema<unknown, Ledger> = v.object({
  signers: v.record(
    v.string(),
    v.object({
      isAccepted: v.boolean(),
      treeSize: v.number(),
      superseded: v.array(v.string()),
    }),
  ),
  exported: v.array(v.number()),
})

const nobody: Signer = { isAccepted: false, treeSize: 0, superseded: [] }

/** Remembers whose bundles are believed, which came in, and which were made here. It must not roll back. */
export class BundleLedger {
  readonly #file: DurableFile

  constructor(dir: string) {
    this.#file = new DurableFile(join(dir, 'store', 'bundles'))
  }

  /** What is known of a signer, by peer id. */
  async signer(peerId: string): Promise<Signer> {
    return parse(await this.#file.read()).signers[peerId] ?? nobody
  }

  /** Believes a signer from now on; durable when it resolves. */
  accept(peerId: string): Promise<void> {
    return this.#change(peerId, (signer) => ({ ...signer, isAccepted: true }))
  }

  /** Notes a bundle that came in whole; durable when it resolves. */
  noteImported(
    peerId: string,
    bundle: { readonly treeSize: number; readonly since: string | undefined },
  ): Promise<void> {
    return this.#change(peerId, (signer) => ({
      ...signer,
      treeSize: Math.max(signer.treeSize, bundle.treeSize),
      superseded: latest([
        ...signer.superseded,
        ...(bundle.since === undefined ? [] : [bundle.since]),
      ]),
    }))
  }

  /** Sizes of the trees of bundles that were made here: sites have them by now. */
  async exported(): Promise<readonly number[]> {
    return parse(await this.#file.read()).exported
  }

  async noteExported(treeSize: number): Promise<void> {
    await this.#update((ledger) => ({
      ...ledger,
      exported: latest([...ledger.exported, treeSize]),
    }))
  }

  #change(peerId: string, change: (signer: Signer) => Signer): Promise<void> {
    return this.#update((ledger) => {
      const signer = change(ledger.signers[peerId] ?? nobody)
      return { ...ledger, signers: { ...ledger.signers, [peerId]: signer } }
    })
  }

  #update(change: (ledger: Ledger) => Ledger): Promise<void> {
    return this.#file.update((bytes) => Buffer.from(JSON.stringify(change(parse(bytes)))))
  }
}

function parse(bytes: Uint8Array | undefined): Ledger {
  if (bytes === undefined) return { signers: {}, exported: [] }
  return v.parse(ledgerSchema, JSON.parse(Buffer.from(bytes).toString('utf8')))
}

function latest<T>(values: readonly T[]): T[] {
  return [...new Set(values)].slice(-maxKept)
}

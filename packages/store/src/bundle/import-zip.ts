import { HashMismatchError, type Proof, type StagedZip, type ZipStore } from '@modmesh/fill'
import { formatModuleVersion, ZipRulesError } from '@modmesh/module'
import type { BundleReader } from './bundle-reader.ts'
import { BundleError } from './faults.ts'
import type { BundleItem } from './inventory.ts'

type ZipItem = Extract<BundleItem, { readonly kind: 'zip' }>

/**
 * Receives a zip into a staged file; what it resolves with verifies and commits that. Both throw BundleError when the
 * zip is not what was signed, or what was proven.
 */
export async function importZip(
  store: ZipStore,
  item: ZipItem,
  options: {
    readonly reader: BundleReader
    readonly proof: Proof
    /** What is checked when the zip is known to be what was signed. */
    readonly beforeCommit: () => Promise<void>
    readonly signal: AbortSignal
  },
): Promise<() => Promise<void>> {
  const { reader } = options
  const staged = await store.stageZip(item.module)
  try {
    for await (const piece of reader.pieces(item)) await staged.write(piece)
  } catch (error) {
    await staged.discard()
    throw error
  }
  return () => commit(staged, item, options)
}

async function commit(
  staged: StagedZip,
  { module, zipHash }: ZipItem,
  {
    proof,
    beforeCommit,
    signal,
  }: {
    readonly proof: Proof
    readonly beforeCommit: () => Promise<void>
    readonly signal: AbortSignal
  },
): Promise<void> {
  try {
    await staged.verify(zipHash, { signal })
    await beforeCommit()
    await staged.commit(proof)
  } catch (error) {
    await staged.discard()
    if (!(error instanceof ZipRulesError || error instanceof HashMismatchError)) throw error
    const message = `${formatModuleVersion(module)}: ${error.message}`
    throw new BundleError('BUNDLE_UNPROVEN', message, { cause: error })
  }
}

import type { Proof } from '@modmesh/fill'
import type { AdoptedZip } from './adopted-zip.ts'
import type { Disk } from './disk.ts'
import { HeldFile } from './held-zip.ts'
import { type Layout, zipPath } from './layout.ts'
import { hashFile } from './zip-files.ts'
import { isStrongerProof } from './zip-record.ts'
import type { ShelvedZip } from './zip-shelf.ts'
import type { ZipVault } from './zip-vault.ts'

interface SameComponents {
  readonly disk: Disk
  readonly layout: Layout
  readonly vault: ZipVault
}

/**
 * Takes what is held for an adopted file when it is that file, or has its bytes: nothing is linked, inflated or
 * hashed twice then. Undefined when it is another, or neither can be told.
 */
export async function takeSame(
  components: SameComponents,
  zip: ShelvedZip,
  source: string,
): Promise<AdoptedZip | undefined> {
  const { vault } = components
  // From now on: it must not be evicted while its state is looked at.
  zip.heldMs = performance.now()
  if (!(await isSame(components, zip, source)) || !(await vault.isSound(zip))) return undefined
  const { module, zipHash, size } = zip.record
  const commit = async (proof: Proof): Promise<HeldFile> => {
    if (isStrongerProof(proof, zip.record.proof)) await vault.upgradeProof(zip, proof)
    return new HeldFile(vault, zip)
  }
  return { module, zipHash, size, how: 'present', commit, discard: async () => {} }
}

async function isSame(
  { disk, layout }: SameComponents,
  { record }: ShelvedZip,
  source: string,
): Promise<boolean> {
  const [theirs, ours] = await Promise.all([
    disk.identity(source),
    disk.identity(zipPath(layout, record.zipDigest)),
  ])
  if (theirs === undefined || !theirs.isFile || theirs.size !== record.size) return false
  // One file under two names, linked earlier.
  if (theirs.stamp === ours?.stamp) return true
  return (await hashFile(disk, source))?.digest === record.zipDigest
}

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { HeldZip, Proof } from '@modmesh/fill'
import {
  type ModuleVersion,
  parseZipDigest,
  type ZipDigest,
  type ZipHash,
  ZipRulesError,
} from '@modmesh/module'
import type { Disk, DiskFile, Taken } from './disk.ts'
import { StoreAccessError, StoreWriteError } from './errors.ts'
import type { Layout } from './layout.ts'
import { writePlainForm } from './plain-form.ts'
import { SharedFile } from './shared-file.ts'
import type { VerifiedFile } from './staged-zip.ts'
import type { ReportEvent } from './store-event.ts'
import type { VerifyPool } from './verify-pool.ts'
import type { VerifiedZip } from './zip-verify.ts'

export interface AdoptComponents {
  readonly disk: Disk
  readonly layout: Layout
  readonly pool: VerifyPool
  readonly report: ReportEvent
  readonly maxZipBytes: number
  readonly commit: (verified: VerifiedFile, proof: Proof) => Promise<HeldZip>
}

/** A zip of somebody else's that was verified, and is ours when it is committed. */
export interface AdoptedZip {
  readonly module: ModuleVersion
  readonly zipHash: ZipHash
  /** Size of the file, bytes. */
  readonly size: number
  /** How its bytes came to us; `rewritten`: into the form that every parser reads alike; `present`: they were held. */
  readonly how: Taken | 'rewritten' | 'present'
  /** Makes it durable and visible; what is held already stays. Throws StoreWriteError. */
  commit(proof: Proof): Promise<HeldZip>
  /** Removes it; does nothing after commit. */
  discard(): Promise<void>
}

/**
 * Takes a zip file of somebody else and verifies it beside the main thread, without copying its
 * bytes where its file system allows that (design, section 5, One reading). Throws ZipRulesError for
 * what is no module zip, StoreAccessError for what is no file at rest, StoreWriteError.
 */
export async function adoptZip(
  components: AdoptComponents,
  module: ModuleVersion,
  source: string,
  options: { readonly signal: AbortSignal },
): Promise<AdoptedZip> {
  const { disk, layout, maxZipBytes } = components
  const found = await disk.identity(source)
  if (found === undefined || !found.isFile) throw new StoreAccessError(source, 'is no file')
  // Before it is copied, where it has to be.
  if (found.size > maxZipBytes) throw new ZipRulesError(`larger than ${maxZipBytes} bytes`)
  const path = join(layout.staging, `${randomBytes(16).toString('hex')}.zip`)
  const how = await disk.take(source, path).catch((error: unknown) => {
    throw new StoreWriteError('an adopted zip', error)
  })
  try {
    const verified = await verifyTaken(components, module, path, options)
    const isRewritten = verified.path !== path
    if (isRewritten) await disk.remove(path)
    return adopted(components, verified, isRewritten ? 'rewritten' : how)
  } catch (error) {
    await disk.remove(path)
    throw error
  }
}

function adopted(
  { disk, commit }: AdoptComponents,
  verified: VerifiedFile,
  how: AdoptedZip['how'],
): AdoptedZip {
  let isDone = false
  const { module, zipHash, size, file, path } = verified
  return {
    module,
    zipHash,
    size,
    how,
    commit: (proof) => {
      isDone = true
      return commit(verified, proof)
    },
    discard: async () => {
      if (isDone) return
      isDone = true
      await file.release()
      await disk.remove(path)
    },
  }
}

/** Its owner may write to it all the while: only what did not change is what was verified. */
async function verifyTaken(
  components: AdoptComponents,
  module: ModuleVersion,
  path: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<VerifiedFile> {
  const { disk, pool } = components
  const file = await disk.open(path, 'read')
  try {
    const zip = await verifyAtRest(pool, { module, path, file }, { signal })
    if (zip.rewrite !== undefined) {
      const plain = await keepPlainForm(components, { module, path, file }, zip, { signal })
      await file.close()
      return plain
    }
    const { zipHash, zipDigest } = zip
    const { size, isShared } = await file.identity()
    return { module, path, file: new SharedFile(file), size, zipHash, zipDigest, isShared }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Another name that it is given changes its state, too: it is looked at once more before it counts as being written. */
async function verifyAtRest(
  pool: VerifyPool,
  { module, path, file }: Taking,
  options: { readonly signal: AbortSignal },
): Promise<VerifiedZip & { readonly zipDigest: ZipDigest }> {
  for (const isLastTry of [false, true]) {
    const before = await file.identity()
    const outcome = await pool.verifyAside(path, module, options).catch((error: unknown) => {
      if (error instanceof ZipRulesError) return error
      throw error
    })
    const isAtRest = (await file.identity()).stamp === before.stamp
    if (!isAtRest && !isLastTry) continue
    if (!isAtRest) throw new StoreAccessError(path, 'it is being written')
    if (outcome instanceof ZipRulesError) throw outcome
    return outcome
  }
  throw new Error('unreachable')
}

/** A file on its way to us. */
interface Taking {
  readonly module: ModuleVersion
  readonly path: string
  readonly file: DiskFile
}

async function keepPlainForm(
  { disk, pool, report }: AdoptComponents,
  taken: Taking,
  { zipHash, rewrite }: VerifiedZip,
  { signal }: { readonly signal: AbortSignal },
): Promise<VerifiedFile> {
  const { module } = taken
  const { reason = '', parts = [] } = rewrite ?? {}
  const { file, path, size, sha } = await writePlainForm(disk, taken, parts)
  try {
    const again = await pool.verify(path, module, { signal })
    if (again.zipHash !== zipHash || again.rewrite !== undefined) {
      throw new ZipRulesError(`cannot be brought into plain form (${reason})`)
    }
    report({ kind: 'rewritten', module, reason })
    const zipDigest = parseZipDigest(sha.digest('hex'))
    return { module, path, file: new SharedFile(file), size, zipHash, zipDigest, isShared: false }
  } catch (error) {
    await file.close()
    await disk.remove(path)
    throw error
  }
}

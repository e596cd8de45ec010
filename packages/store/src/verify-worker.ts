import { parentPort } from 'node:worker_threads'
import { type ModuleVersion, ZipRulesError } from '@modmesh/module'
import { asError } from './errors.ts'
import { digestFile, type VerifiedZip, verifyZipFile } from './zip-verify.ts'

/** What the pool asks a worker. */
export interface VerifyJob {
  readonly path: string
  readonly module: ModuleVersion
  /** Whether the digest of the file is asked for, too. */
  readonly digest: boolean
  /** Set to non-zero by the pool when nobody waits any more. */
  readonly abort: Int32Array<SharedArrayBuffer>
}

/** What a worker answers. */
export type VerifyReply =
  | { readonly kind: 'verified'; readonly zip: VerifiedZip; readonly digest: string | undefined }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'failed'; readonly error: Error }

const refusedPrefix: string = new ZipRulesError('').message

async function answer(job: VerifyJob): Promise<VerifyReply> {
  try {
    const isAborted = (): boolean => Atomics.load(job.abort, 0) !== 0
    const zip = await verifyZipFile(job.path, job.module, { isAborted })
    return { kind: 'verified', zip, digest: job.digest ? digestFile(job.path) : undefined }
  } catch (error) {
    if (error instanceof ZipRulesError) {
      return { kind: 'refused', reason: error.message.slice(refusedPrefix.length) }
    }
    return { kind: 'failed', error: asError(error) }
  }
}

parentPort?.on('message', (job: VerifyJob) => {
  void answer(job).then((reply) => parentPort?.postMessage(reply))
})

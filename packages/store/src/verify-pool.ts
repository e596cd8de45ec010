import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type ModuleVersion, parseZipDigest, type ZipDigest, ZipRulesError } from '@modmesh/module'
import { inlineVerifyBytes, maxVerifyWorkers, workerYoungMegabytes } from './limits.ts'
import type { VerifyJob, VerifyReply } from './verify-worker.ts'
import { parseZipDirectory } from './zip-directory.ts'
import { type VerifiedZip, verifyZipFile } from './zip-verify.ts'
import { ZipWindow } from './zip-window.ts'

interface Waiting {
  readonly job: VerifyJob
  readonly done: (reply: VerifyReply) => void
}

/** Verifies zips beside the main thread: small ones at once, large ones in a few lazily started workers. */
export class VerifyPool implements AsyncDisposable {
  readonly #workers = new Set<Worker>()
  readonly #idle: Worker[] = []
  readonly #queue: Waiting[] = []
  readonly #running = new Map<Worker, Waiting['done']>()
  readonly #size = Math.min(availableParallelism(), maxVerifyWorkers)
  #isClosed = false

  /** As verifyZipFile, without an expectation. Rejects with the signal's reason when aborted. */
  async verify(
    path: string,
    module: ModuleVersion,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<VerifiedZip> {
    signal.throwIfAborted()
    if (isSmallZip(path)) return verifyZipFile(path, module)
    return (await this.#ask({ path, module, digest: false }, signal)).zip
  }

  /**
   * As `verify`, with the digest of the file, and always beside the main thread: for work in bulk, of
   * which no more than `size` should be asked at a time, so that nobody else waits long.
   */
  async verifyAside(
    path: string,
    module: ModuleVersion,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<VerifiedZip & { readonly zipDigest: ZipDigest }> {
    signal.throwIfAborted()
    const { zip, digest = '' } = await this.#ask({ path, module, digest: true }, signal)
    return { ...zip, zipDigest: parseZipDigest(digest) }
  }

  /** Zips that are verified at the same time. */
  get size(): number {
    return this.#size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#workers].map((worker) => worker.terminate()))
    for (const waiting of this.#queue.splice(0)) waiting.done(closed())
  }

  async #ask(
    asked: Omit<VerifyJob, 'abort'>,
    signal: AbortSignal,
  ): Promise<Extract<VerifyReply, { kind: 'verified' }>> {
    const reply = await this.#reply(asked, signal)
    signal.throwIfAborted()
    if (reply.kind === 'verified') return reply
    if (reply.kind === 'refused') throw new ZipRulesError(reply.reason)
    throw reply.error
  }

  async #reply(asked: Omit<VerifyJob, 'abort'>, signal: AbortSignal): Promise<VerifyReply> {
    const abort = new Int32Array(new SharedArrayBuffer(4))
    const stop = (): void => {
      Atomics.store(abort, 0, 1)
    }
    signal.addEventListener('abort', stop, { once: true })
    try {
      return await new Promise<VerifyReply>((done) => {
        this.#queue.push({ job: { ...asked, abort }, done })
        this.#startNext()
      })
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  #startNext(): void {
    if (this.#isClosed) {
      for (const waiting of this.#queue.splice(0)) waiting.done(closed())
      return
    }
    const worker = this.#idle.pop() ?? this.#startWorker()
    if (worker === undefined) return
    const next = this.#queue.shift()
    if (next === undefined) this.#idle.push(worker)
    else this.#run(worker, next)
  }

  #startWorker(): Worker | undefined {
    if (this.#workers.size >= this.#size || this.#queue.length === 0) return undefined
    // Sources run as they are; built files have another ending.
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const worker = new Worker(new URL(`./verify-worker.${ending}`, import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: workerYoungMegabytes },
    })
    const fail = (error: Error): void => {
      this.#workers.delete(worker)
      const at = this.#idle.indexOf(worker)
      if (at >= 0) this.#idle.splice(at, 1)
      this.#finish(worker, this.#isClosed ? closed() : { kind: 'failed', error })
    }
    worker.on('error', fail)
    worker.on('exit', (code) => fail(new Error(`verification worker ended with code ${code}`)))
    worker.on('message', (reply: VerifyReply) => {
      this.#idle.push(worker)
      this.#finish(worker, reply)
    })
    worker.unref()
    this.#workers.add(worker)
    return worker
  }

  #run(worker: Worker, { job, done }: Waiting): void {
    this.#running.set(worker, done)
    worker.ref()
    worker.postMessage(job)
  }

  #finish(worker: Worker, reply: VerifyReply): void {
    const done = this.#running.get(worker)
    this.#running.delete(worker)
    worker.unref()
    done?.(reply)
    this.#startNext()
  }
}

function closed(): VerifyReply {
  return { kind: 'failed', error: new DOMException('the store is closed', 'AbortError') }
}

/** Declared sizes are hostile, but they are also the most that verification inflates. */
function isSmallZip(path: string): boolean {
  const zip = new ZipWindow(path)
  try {
    if (zip.size > inlineVerifyBytes) return false
    const { entries } = parseZipDirectory((start, end) => zip.read(start, end), zip.size)
    return entries.reduce((sum, entry) => sum + entry.size, 0) <= inlineVerifyBytes
  } finally {
    zip.close()
  }
}

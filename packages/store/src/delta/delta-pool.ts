import { availableParallelism } from 'node:os'
import { MessageChannel, Worker } from 'node:worker_threads'
import { asError } from '../errors.ts'
import { workerYoungMegabytes } from '../limits.ts'
import type { DeltaJob } from './job-message.ts'
import { JobPort } from './job-port.ts'
import { maxDeltaWorkers } from './limits.ts'

/** Threads that pack, unpack and put together zips. Started when there is something to do. */
export class DeltaPool implements AsyncDisposable {
  readonly #workers = new Map<Worker, Set<JobPort>>()
  readonly #size = Math.min(availableParallelism(), maxDeltaWorkers)
  #isClosed = false

  /** Starts a job. Its port is to be closed. */
  start(job: DeltaJob): JobPort {
    if (this.#isClosed) throw new DOMException('the store is closed', 'AbortError')
    const [worker, jobs] = this.#idlest()
    const { port1, port2 } = new MessageChannel()
    const port = new JobPort(port1, () => jobs.delete(port))
    jobs.add(port)
    worker.postMessage({ job, port: port2 }, [port2])
    return port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#workers.keys()].map((worker) => worker.terminate()))
  }

  #idlest(): readonly [Worker, Set<JobPort>] {
    const [best] = [...this.#workers].sort(([, a], [, b]) => a.size - b.size)
    if (best !== undefined && (best[1].size === 0 || this.#workers.size >= this.#size)) return best
    return this.#startWorker()
  }

  #startWorker(): readonly [Worker, Set<JobPort>] {
    // Sources run as they are; built files have another ending.
    const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
    const worker = new Worker(new URL(`./delta-worker.${ending}`, import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: workerYoungMegabytes },
    })
    const jobs = new Set<JobPort>()
    const fail = (error: Error): void => {
      this.#workers.delete(worker)
      for (const port of jobs) port.fail(error)
    }
    worker.on('error', (error) => fail(asError(error)))
    worker.on('exit', (code) => fail(new Error(`the thread for deltas ended with code ${code}`)))
    worker.unref()
    this.#workers.set(worker, jobs)
    return [worker, jobs]
  }
}

import type { MessagePort } from 'node:worker_threads'
import type { JobInput, JobOutput } from './job-message.ts'
import { jobChunksAhead } from './limits.ts'

/** The job is not wanted any more. */
export class StoppedError extends Error {
  readonly code = 'STOPPED'
  constructor() {
    super('stopped')
    this.name = 'StoppedError'
  }
}

/** One job's end of the line, in the thread that does it. Chunks go no faster than they are taken. */
export class WorkerPort {
  readonly #port: MessagePort
  readonly #chunks: Uint8Array[] = []
  #credit = jobChunksAhead
  #isEnded = false
  #isStopped = false
  #wake: () => void = () => {}

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (input: JobInput) => {
      if (input.kind === 'chunk') this.#chunks.push(input.bytes)
      else if (input.kind === 'end') this.#isEnded = true
      else if (input.kind === 'more') this.#credit += 1
      else this.#isStopped = true
      this.#wake()
    })
    // The other side is gone.
    port.on('close', () => {
      this.#isStopped = true
      this.#wake()
    })
  }

  tell(output: JobOutput): void {
    this.#port.postMessage(output)
  }

  close(): void {
    this.#port.close()
  }

  /** What comes, until it ended. Throws StoppedError. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#isStopped) throw new StoppedError()
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        this.tell({ kind: 'more' })
        yield chunk
      } else if (this.#isEnded) return
      else await this.#news()
    }
  }

  /** Sends chunks. Throws StoppedError. */
  async send(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    for await (const bytes of chunks) {
      while (this.#credit === 0 && !this.#isStopped) await this.#news()
      if (this.#isStopped) throw new StoppedError()
      this.#credit -= 1
      // A copy of its own: the whole memory behind a part of it would go along else.
      const own = Uint8Array.from(bytes)
      this.#port.postMessage({ kind: 'chunk', bytes: own } satisfies JobOutput, [own.buffer])
    }
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

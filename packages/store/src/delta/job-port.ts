import type { MessagePort } from 'node:worker_threads'
import { DeltaRefusedError } from '@modmesh/fill'
import type { JobInput, JobOutput, NamesAndHashes } from './job-message.ts'
import { jobChunksAhead } from './limits.ts'
import type { KeptFile } from './unpack-files.ts'

/** One job's end of the line, on our side. */
export class JobPort {
  /** Told of verified files. */
  onKept: (files: readonly KeptFile[]) => void = () => {}
  /** Told of a manifest. */
  onLines: (lines: NamesAndHashes) => void = () => {}
  readonly #port: MessagePort
  readonly #onClosed: () => void
  readonly #out: Uint8Array[] = []
  readonly #ended = Promise.withResolvers<void>()
  #end: { readonly error: Error | undefined } | undefined
  #credit = jobChunksAhead
  #wake: () => void = () => {}

  constructor(port: MessagePort, onClosed: () => void) {
    this.#port = port
    this.#onClosed = onClosed
    port.on('message', (output: JobOutput) => this.#take(output))
    // Whoever waits for the job gets the error.
    this.#ended.promise.catch(() => {})
  }

  /** What the job gives. Throws what it failed with, the signal's reason. */
  async *chunks({ signal }: { readonly signal: AbortSignal }): AsyncGenerator<Uint8Array> {
    const stop = this.#stopOn(signal)
    try {
      for (;;) {
        signal.throwIfAborted()
        const chunk = this.#out.shift()
        if (chunk !== undefined) {
          this.#tell({ kind: 'more' })
          yield chunk
        } else if (this.#end === undefined) await this.#news()
        else if (this.#end.error === undefined) return
        else throw this.#end.error
      }
    } finally {
      stop()
      if (this.#end === undefined) this.#tell({ kind: 'stop' })
    }
  }

  /** Gives the job a chunk; resolves when there is room for more. Throws what it failed with. */
  async write(bytes: Uint8Array, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const stop = this.#stopOn(signal)
    try {
      while (this.#credit === 0 && this.#end === undefined) {
        signal.throwIfAborted()
        await this.#news()
      }
      signal.throwIfAborted()
      if (this.#end !== undefined) throw this.#end.error ?? tooMuch()
      this.#credit -= 1
      const own = Uint8Array.from(bytes)
      this.#port.postMessage({ kind: 'chunk', bytes: own } satisfies JobInput, [own.buffer])
    } finally {
      stop()
    }
  }

  /** Waits for the end of a job that takes nothing and gives no chunks. Throws what it failed with. */
  async whenDone(): Promise<void> {
    await this.#ended.promise
  }

  /** Tells the job that it has everything, and waits for its end. Throws what it failed with. */
  async end(): Promise<void> {
    this.#tell({ kind: 'end' })
    await this.#ended.promise
  }

  /** Ends the job, however far it is; resolves when it is over. */
  async stop(): Promise<void> {
    if (this.#end === undefined) this.#tell({ kind: 'stop' })
    await this.#ended.promise.catch(() => {})
  }

  /** The thread is gone. */
  fail(error: Error): void {
    this.#finish(error)
  }

  #take(output: JobOutput): void {
    switch (output.kind) {
      case 'chunk':
        this.#out.push(output.bytes)
        break
      case 'kept':
        this.onKept(output.files)
        break
      case 'lines':
        this.onLines(output.lines)
        break
      case 'more':
        this.#credit += 1
        break
      case 'done':
        return this.#finish(undefined)
      case 'failed':
        return this.#finish(errorOf(output))
    }
    this.#wake()
  }

  #finish(error: Error | undefined): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    this.#port.close()
    this.#onClosed()
    if (error === undefined) this.#ended.resolve()
    else this.#ended.reject(error)
    this.#wake()
  }

  #stopOn(signal: AbortSignal): () => void {
    const wake = (): void => this.#wake()
    signal.addEventListener('abort', wake, { once: true })
    return () => signal.removeEventListener('abort', wake)
  }

  #tell(input: JobInput): void {
    if (this.#end === undefined) this.#port.postMessage(input)
  }

  #news(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}

function errorOf({ why, message }: Extract<JobOutput, { kind: 'failed' }>): Error {
  if (why === 'malformed') return new DeltaRefusedError('codec', message)
  if (why === 'unequal') return new DeltaRefusedError('lie', message)
  return new Error(message)
}

function tooMuch(): DeltaRefusedError {
  return new DeltaRefusedError('lie', 'more than was asked for')
}

import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { ByteSink } from '@modmesh/fill'
import { collect, tooLarge } from './body.ts'
import { FetchError } from './fetch-error.ts'
import { displayEntry, type FileEntry } from './proxy-list.ts'
import type { CopyOptions, ReadOptions, UpstreamReader } from './upstream-reader.ts'

/** Reads a folder laid out as `GOMODCACHE/cache/download`. A missing file is a 404, a forbidden one a 403. */
export class FileReader implements UpstreamReader {
  readonly name: string
  readonly #directory: string

  constructor(entry: FileEntry) {
    this.name = displayEntry(entry)
    this.#directory = entry.directory
  }

  read(path: string, options: ReadOptions): Promise<Uint8Array> {
    return collect(this.#open(path, options), { maxBytes: options.maxBytes, name: this.name })
  }

  async copy(path: string, sink: ByteSink, options: CopyOptions): Promise<void> {
    for await (const chunk of this.#open(path, options)) await sink.write(chunk)
  }

  async *#open(path: string, options: ReadOptions): AsyncGenerator<Uint8Array> {
    const file = this.#directory + path
    const { size } = await this.#guard(() => stat(file), options.signal)
    if (size > options.maxBytes) throw tooLarge({ maxBytes: options.maxBytes, name: this.name })
    const stream = createReadStream(file, { signal: options.signal, end: options.maxBytes })
    const chunks: AsyncIterator<Uint8Array> = stream[Symbol.asyncIterator]()
    try {
      for (;;) {
        const { done, value } = await this.#guard(() => chunks.next(), options.signal)
        if (done) return
        yield value
      }
    } finally {
      stream.destroy()
    }
  }

  async #guard<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await act()
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw toFetchError(this.name, error)
    }
  }
}

function toFetchError(name: string, cause: unknown): FetchError {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
    case 'EISDIR':
    case 'ENAMETOOLONG':
      return new FetchError('absent', `${name}: no such file`, { cause })
    case 'EACCES':
    case 'EPERM':
      return new FetchError('status', `${name}: permission denied`, { cause, status: 403 })
    default:
      return new FetchError('unreachable', `${name}: cannot be read (${String(code)})`, { cause })
  }
}

import { hash } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { AnswerStore, StoredAnswer } from '@modmesh/fill'
import type { Disk } from './disk.ts'
import { asError } from './errors.ts'
import { makeFolder } from './folders.ts'
import type { Layout } from './layout.ts'
import { maxAnswerBytes, maxAnswersPerFolder, maxWaitingAnswers } from './limits.ts'
import { replaceFile } from './replace-file.ts'
import type { ReportEvent } from './store-event.ts'

/** What a file may hold beside the answer: its key is a path and a version. Bytes. */
const maxHeaderBytes = 8 << 10

interface KeptAnswer extends StoredAnswer {
  readonly key: string
}

/**
 * Lists and other answers that change, one file each under the hash of its key. A cache without
 * fsync: a file that is not whole counts as absent, and the oldest of a folder give way to new ones.
 * What cannot be written is reported.
 */
export class AnswerFiles implements AnswerStore, AsyncDisposable {
  readonly #disk: Disk
  readonly #layout: Layout
  readonly #report: ReportEvent
  /** What is to be written, undefined to be removed; a later one replaces it. */
  readonly #waiting = new Map<string, StoredAnswer | undefined>()
  /** Files in a folder, where that was counted. */
  readonly #counts = new Map<string, number>()
  #writing: Promise<void> | undefined

  constructor(components: { readonly disk: Disk; readonly report: ReportEvent }, layout: Layout) {
    this.#disk = components.disk
    this.#report = components.report
    this.#layout = layout
  }

  async findAnswer(key: string): Promise<StoredAnswer | undefined> {
    if (this.#waiting.has(key)) return this.#waiting.get(key)
    const kept = await this.#read(this.#path(key))
    return kept?.key === key ? kept : undefined
  }

  /** Resolves when it is written, or never will be. An answer of over maxAnswerBytes is not kept. */
  async putAnswer(key: string, answer: StoredAnswer): Promise<void> {
    const fits = answer.bytes.length <= maxAnswerBytes
    await this.#enqueue(key, fits ? answer : undefined)
  }

  async dropAnswer(key: string): Promise<void> {
    await this.#enqueue(key, undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
  }

  async #enqueue(key: string, answer: StoredAnswer | undefined): Promise<void> {
    if (this.#waiting.size >= maxWaitingAnswers && !this.#waiting.has(key)) return
    this.#waiting.set(key, answer)
    this.#writing ??= this.#writeAll()
    await this.#writing
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.size > 0) {
      for (const [key, answer] of this.#waiting) {
        await this.#write(key, answer)
        // Unless a newer one came meanwhile: that has its own turn.
        if (this.#waiting.get(key) === answer) this.#waiting.delete(key)
      }
    }
    this.#writing = undefined
  }

  async #write(key: string, answer: StoredAnswer | undefined): Promise<void> {
    const path = this.#path(key)
    try {
      if (answer === undefined) await this.#disk.remove(path)
      else await this.#replace(path, formatAnswer({ key, ...answer }))
    } catch (error) {
      this.#report({ kind: 'tidy-failed', path, error: asError(error) })
    }
  }

  async #replace(path: string, bytes: Uint8Array): Promise<void> {
    await makeFolder(this.#disk, dirname(path))
    const isNew = (await this.#disk.identity(path)) === undefined
    const components = { disk: this.#disk, layout: this.#layout }
    await replaceFile(components, path, bytes, { isDurable: false })
    if (isNew) await this.#makeRoom(dirname(path))
  }

  /** Counts one more file in a folder; the older half goes when it is full. */
  async #makeRoom(folder: string): Promise<void> {
    const known = this.#counts.get(folder)
    const count = known === undefined ? (await this.#disk.list(folder)).length : known + 1
    this.#counts.set(folder, count)
    if (count <= maxAnswersPerFolder) return
    const dated: { readonly path: string; readonly confirmedMs: number }[] = []
    for (const name of await this.#disk.list(folder)) {
      const path = join(folder, name)
      dated.push({ path, confirmedMs: (await this.#read(path))?.confirmedMs ?? 0 })
    }
    dated.sort((a, b) => a.confirmedMs - b.confirmedMs)
    const old = dated.slice(0, dated.length >> 1)
    for (const { path } of old) await this.#disk.remove(path)
    this.#counts.set(folder, dated.length - old.length)
  }

  async #read(path: string): Promise<KeptAnswer | undefined> {
    try {
      const bytes = await this.#disk.readFile(path, maxAnswerBytes + maxHeaderBytes)
      return bytes && parseAnswer(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    } catch (error) {
      this.#report({ kind: 'tidy-failed', path, error: asError(error) })
      return undefined
    }
  }

  #path(key: string): string {
    const name = hash('sha256', key)
    return join(this.#layout.answers, name.slice(0, 2), name)
  }
}

/** A line of JSON, a line with the SHA-256 of all the rest, the answer itself. */
function formatAnswer({ key, bytes, from, validator, confirmedMs }: KeptAnswer): Buffer {
  const header = JSON.stringify({ format: 1, key, from, validator, confirmedMs })
  return Buffer.concat([Buffer.from(`${header}\n${sumOf(header, bytes)}\n`), bytes])
}

/** Undefined for what is not as it was written: nothing was fsynced. */
function parseAnswer(file: Buffer): KeptAnswer | undefined {
  const headerEnd = file.indexOf('\n')
  const sumEnd = file.indexOf('\n', headerEnd + 1)
  if (headerEnd < 0 || sumEnd < 0) return undefined
  const header = file.toString('utf8', 0, headerEnd)
  // A copy: the file's buffer would be kept whole.
  const bytes = Uint8Array.from(file.subarray(sumEnd + 1))
  if (file.toString('latin1', headerEnd + 1, sumEnd) !== sumOf(header, bytes)) return undefined
  const fields = JSON.parse(header) as Record<string, unknown>
  const { format, key, from, validator, confirmedMs } = fields
  if (format !== 1 || typeof key !== 'string' || typeof from !== 'string') return undefined
  if (typeof confirmedMs !== 'number') return undefined
  return {
    key,
    bytes,
    from,
    validator: typeof validator === 'string' ? validator : undefined,
    confirmedMs,
  }
}

function sumOf(header: string, bytes: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${header}\n`), bytes]))
}

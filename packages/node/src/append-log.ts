import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/** How far back from its end a file is searched for the last whole line; ours are under 2 KiB. Bytes. */
const tailBytes = 64 * 1024
/** Lines that wait for the disk; more are a disk that does not write any more. */
const maxWaitingLines = 10_000

export interface AppendLogInit {
  readonly path: string
  /** From this size on a new file is begun, and the old one becomes `PATH.1`, that one `PATH.2`, … Absent: never. */
  readonly maxBytes?: number
  /** How many old files are kept. */
  readonly oldFiles?: number
  /** Told of lines that could not be written. */
  readonly onError: (error: unknown) => void
}

/**
 * A file of lines to which is only appended. A line is there whole or not at all: what a kill or a power cut left torn at
 * the end is cut off by the next start. Lines that come together share one flush to the disk.
 */
export class AppendLog implements AsyncDisposable {
  readonly #init: AppendLogInit
  #file: FileHandle
  #size: number
  #waiting: string[] = []
  #writing: Promise<void> = Promise.resolve()
  #isScheduled = false

  /** Opens or makes the file, readable by its owner alone. Throws errors of the file system. */
  static async open(init: AppendLogInit): Promise<AppendLog> {
    await mkdir(dirname(init.path), { recursive: true, mode: 0o700 })
    const file = await openForAppending(init.path)
    return new AppendLog(init, file, await cutTornTail(file))
  }

  private constructor(init: AppendLogInit, file: FileHandle, size: number) {
    this.#init = init
    this.#file = file
    this.#size = size
  }

  /** Appends a line, given without its end. Resolves when it is on the disk, or was told to be lost. Never rejects. */
  append(line: string): Promise<void> {
    if (this.#waiting.length >= maxWaitingLines) {
      this.#init.onError(new Error('too many lines wait for the disk'))
      return this.#writing
    }
    this.#waiting.push(line)
    if (!this.#isScheduled) {
      this.#isScheduled = true
      this.#writing = this.#writing.then(() => this.#writeWaiting())
    }
    return this.#writing
  }

  /** Writes what waits, and closes. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing
    await this.#file.close()
  }

  async #writeWaiting(): Promise<void> {
    this.#isScheduled = false
    const bytes = Buffer.from(this.#waiting.map((line) => `${line}\n`).join(''))
    this.#waiting = []
    try {
      if (this.#isFull(bytes.length)) await this.#rotate()
      await this.#file.appendFile(bytes)
      this.#size += bytes.length
      await this.#file.datasync()
    } catch (error) {
      this.#init.onError(error)
      // A full disk may have taken a part of it.
      await cutTornTail(this.#file).then(
        (size) => {
          this.#size = size
        },
        (unreadable: unknown) => this.#init.onError(unreadable),
      )
    }
  }

  #isFull(more: number): boolean {
    const { maxBytes } = this.#init
    return maxBytes !== undefined && this.#size > 0 && this.#size + more > maxBytes
  }

  async #rotate(): Promise<void> {
    const { path, oldFiles = 0 } = this.#init
    await rm(`${path}.${oldFiles}`, { force: true })
    for (let number = oldFiles - 1; number >= 1; number--) {
      await rename(`${path}.${number}`, `${path}.${number + 1}`).catch(ignoreAbsent)
    }
    if (oldFiles > 0) await rename(path, `${path}.1`)
    else await rm(path)
    const next = await openForAppending(path)
    await this.#file.close()
    this.#file = next
    this.#size = 0
  }
}

function openForAppending(path: string): Promise<FileHandle> {
  // `a+`: the tail is read, too.
  return open(path, 'a+', 0o600)
}

function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
}

/** Cuts the file after its last line end; returns its size then. */
async function cutTornTail(file: FileHandle): Promise<number> {
  const { size } = await file.stat()
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - tailBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start)
    const last = buffer.subarray(0, bytesRead).lastIndexOf('\n')
    if (last >= 0) return await cutTo(file, start + last + 1, size)
    end = start
  }
  return await cutTo(file, 0, size)
}

async function cutTo(file: FileHandle, wanted: number, size: number): Promise<number> {
  if (wanted < size) await file.truncate(wanted)
  return wanted
}

import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { BundleReader, writeTree } from '@modmesh/store'
import { CommandError, errorText } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'

/** Where an export goes. Nothing is there under its name before all of it is. */
export interface BundleTarget extends AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>
  /** Gives it its name. */
  finish(): Promise<void>
}

type Where =
  | { readonly kind: 'nothing' | 'stdout' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'tree'; readonly dir: string }

/** Opens a target. Throws CommandError when it cannot be written. */
export async function openTarget(where: Where): Promise<BundleTarget> {
  switch (where.kind) {
    case 'nothing':
      return {
        write: async () => {},
        finish: async () => {},
        [Symbol.asyncDispose]: async () => {},
      }
    case 'stdout':
      return { write: toStdout, finish: async () => {}, [Symbol.asyncDispose]: async () => {} }
    case 'file':
      return await FileTarget.open(where.path)
    case 'tree':
      return new TreeTarget(where.dir)
  }
}

/** Waits for the pipe: a bundle may be larger than memory. */
function toStdout(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()))
  })
}

class FileTarget implements BundleTarget {
  readonly #path: string
  readonly #temporary: string
  readonly #file: FileHandle

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path
    this.#temporary = temporary
    this.#file = file
  }

  static async open(path: string): Promise<FileTarget> {
    const temporary = `${path}.part`
    try {
      return new FileTarget(path, temporary, await open(temporary, 'w', 0o600))
    } catch (error) {
      throw cannotWrite(error)
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.writeFile(bytes)
    } catch (error) {
      throw cannotWrite(error)
    }
  }

  async finish(): Promise<void> {
    try {
      await this.#file.sync()
      await rename(this.#temporary, this.#path)
    } catch (error) {
      throw cannotWrite(error)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
    await rm(this.#temporary, { force: true })
  }
}

/** Takes a bundle apart as it comes. */
class TreeTarget implements BundleTarget {
  readonly #pipe = new TransformStream<Uint8Array, Uint8Array>()
  readonly #writer = this.#pipe.writable.getWriter()
  readonly #writing: Promise<void>

  constructor(dir: string) {
    this.#writing = this.#writeTree(dir)
    // Whoever writes or finishes gets the error.
    this.#writing.catch(() => {})
  }

  async write(bytes: Uint8Array): Promise<void> {
    // A copy: the memory is used again when this resolves.
    await Promise.race([this.#writer.write(Uint8Array.from(bytes)), this.#failed()])
  }

  async finish(): Promise<void> {
    await Promise.race([this.#writer.close(), this.#failed()])
    await this.#writing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.abort().catch(() => {}) // it was closed
    await this.#writing.catch(() => {}) // told before
  }

  async #writeTree(dir: string): Promise<void> {
    try {
      await writeTree(dir, await BundleReader.open(this.#pipe.readable))
    } catch (error) {
      throw cannotWrite(error)
    }
  }

  /** Never resolves; rejects when the tree cannot be written. */
  async #failed(): Promise<void> {
    await this.#writing
    await new Promise(() => {})
  }
}

function cannotWrite(error: unknown): CommandError {
  return new CommandError(errorText(error), { exitCode: exitCodes.failed, cause: error })
}

import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { BundleReader, writeTree } from '@modmesh/store'
import { CommandError, errorText } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import type { Encrypt } from './age.ts'

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
      return new PipedTarget((bundle) => writeTreeTo(where.dir, bundle))
  }
}

/** Puts encryption before a target, which is that of the one it returns from then on. */
export function encrypted(target: BundleTarget, encrypt: Encrypt): BundleTarget {
  return new PipedTarget((bundle) => encryptTo(target, encrypt, bundle))
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

/** Hands what is written on to somebody who reads it as it comes. */
class PipedTarget implements BundleTarget {
  readonly #pipe = new TransformStream<Uint8Array, Uint8Array>()
  readonly #writer = this.#pipe.writable.getWriter()
  readonly #reading: Promise<void>

  /** What `read` throws, whoever writes or finishes gets. */
  constructor(read: (bundle: ReadableStream<Uint8Array>) => Promise<void>) {
    this.#reading = read(this.#pipe.readable)
    // Told to whoever writes or finishes.
    this.#reading.catch(() => {})
  }

  async write(bytes: Uint8Array): Promise<void> {
    // A copy: the memory is used again when this resolves.
    await Promise.race([this.#writer.write(Uint8Array.from(bytes)), this.#failed()])
  }

  async finish(): Promise<void> {
    await Promise.race([this.#writer.close(), this.#failed()])
    await this.#reading
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.abort().catch(() => {}) // it was closed
    await this.#reading.catch(() => {}) // told before
  }

  /** Never resolves; rejects when nobody can read on. */
  async #failed(): Promise<void> {
    await this.#reading
    await new Promise(() => {})
  }
}

/** Takes a bundle apart as it comes. */
async function writeTreeTo(dir: string, bundle: ReadableStream<Uint8Array>): Promise<void> {
  try {
    await writeTree(dir, await BundleReader.open(bundle))
  } catch (error) {
    throw cannotWrite(error)
  }
}

async function encryptTo(
  target: BundleTarget,
  encrypt: Encrypt,
  bundle: ReadableStream<Uint8Array>,
): Promise<void> {
  await using _ = target
  for await (const piece of await encrypt(bundle)) await target.write(piece)
  await target.finish()
}

function cannotWrite(error: unknown): CommandError {
  return new CommandError(errorText(error), { exitCode: exitCodes.failed, cause: error })
}

import { hash } from 'node:crypto'
import { basename, dirname } from 'node:path'
import { type Disk, nodeDisk } from './disk.ts'
import { StoreDamagedError, StoreWriteError } from './errors.ts'
import { makeFolder } from './folders.ts'

interface Generation {
  readonly number: number
  readonly bytes: Uint8Array
}

/** Content of such files is small; more is somebody's mistake. Bytes. */
const maxBytes = 16 << 20

/**
 * A small file that must not get lost or go back: tree head, membership, identity. Each write goes
 * to two copies with a generation number and a checksum, so that rot in one does not bring an older
 * generation back. Mode 0600.
 */
export class DurableFile {
  readonly #path: string
  readonly #disk: Disk
  #tail: Promise<unknown> = Promise.resolve()

  constructor(path: string, disk: Disk = nodeDisk) {
    this.#path = path
    this.#disk = disk
  }

  /** The last bytes written; undefined before the first write. Throws StoreDamagedError when no copy is sound. */
  read(): Promise<Uint8Array | undefined> {
    return this.#inOrder(async () => (await this.#newest())?.bytes)
  }

  /** Replaces the content; it survives a power cut once this resolves. Throws StoreWriteError. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#inOrder(async () => this.#writeNext(await this.#newest(), bytes))
  }

  /** As `write`, but also where no copy is sound any more: what was there is given up. Throws StoreWriteError. */
  replace(bytes: Uint8Array): Promise<void> {
    return this.#inOrder(async () => this.#writeNext(await this.#newestSound(), bytes))
  }

  /** Writes what `next` makes of the current bytes, with no other write in between; the same object back writes nothing. */
  update(next: (bytes: Uint8Array | undefined) => Uint8Array | undefined): Promise<void> {
    return this.#inOrder(async () => {
      const newest = await this.#newest()
      const bytes = next(newest?.bytes)
      if (bytes !== undefined && bytes !== newest?.bytes) await this.#writeNext(newest, bytes)
    })
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work)
    // The next in line does not care how this one ended.
    this.#tail = result.catch(() => {})
    return result
  }

  async #newest(): Promise<Generation | undefined> {
    const { isDamaged, newest } = await this.#readCopies()
    if (isDamaged) throw new StoreDamagedError(this.#path, 'both copies are damaged')
    return newest
  }

  async #newestSound(): Promise<Generation | undefined> {
    return (await this.#readCopies()).newest
  }

  async #readCopies(): Promise<{
    readonly isDamaged: boolean
    readonly newest: Generation | undefined
  }> {
    const files = await Promise.all(
      this.#copies().map((path) => this.#disk.readFile(path, maxBytes)),
    )
    const present = files.filter((file) => file !== undefined)
    const sound = present.map(parseGeneration).filter((generation) => generation !== undefined)
    const newest = sound.toSorted((a, b) => b.number - a.number)[0]
    return { isDamaged: present.length > 0 && newest === undefined, newest }
  }

  async #writeNext(current: Generation | undefined, bytes: Uint8Array): Promise<void> {
    const file = formatGeneration({ number: (current?.number ?? 0) + 1, bytes })
    try {
      await makeFolder(this.#disk, dirname(this.#path))
      await Promise.all(this.#copies().map((path) => this.#writeTemporary(path, file)))
      for (const path of this.#copies()) await this.#disk.rename(temporaryOf(path), path)
      await this.#disk.fsyncFolder(dirname(this.#path))
    } catch (error) {
      throw new StoreWriteError(basename(this.#path), error)
    }
  }

  async #writeTemporary(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = temporaryOf(path)
    // What a killed process left.
    await this.#disk.remove(temporary)
    const file = await this.#disk.open(temporary, 'create')
    try {
      await file.write(bytes, 0)
      await file.fsync()
    } finally {
      await file.close()
    }
  }

  #copies(): readonly string[] {
    return [this.#path, `${this.#path}.2`]
  }
}

function temporaryOf(path: string): string {
  return `${path}.tmp`
}

function formatGeneration({ number, bytes }: Generation): Uint8Array {
  const head = `modmesh-durable 1 ${number} ${checkOf(number, bytes)}\n`
  return Buffer.concat([Buffer.from(head), bytes])
}

function parseGeneration(file: Uint8Array): Generation | undefined {
  const buffer = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  const end = buffer.indexOf(0x0a)
  const [name, format, number, check] = buffer.toString('latin1', 0, Math.max(end, 0)).split(' ')
  const generation = { number: Number(number), bytes: Uint8Array.from(buffer.subarray(end + 1)) }
  if (name !== 'modmesh-durable' || format !== '1') return undefined
  return check === checkOf(generation.number, generation.bytes) ? generation : undefined
}

function checkOf(number: number, bytes: Uint8Array): string {
  return hash('sha256', Buffer.concat([Buffer.from(`${number}\n`), bytes]))
}

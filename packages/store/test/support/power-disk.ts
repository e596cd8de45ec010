import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type Disk, type DiskFile, nodeDisk } from '../../src/disk.ts'

/** What a power cut keeps of what was not synced, each from 0 (nothing) to 1 (all). */
export interface Survival {
  /** Of the bytes of a file after its last fsync. */
  readonly data: () => number
  /** Of the name changes of a folder after its last fsync, from the oldest on. */
  readonly names: () => number
}

interface Inode {
  synced: Buffer
  current: () => Promise<Buffer>
}

interface NameChange {
  readonly path: string
  readonly inode: Inode | 'folder' | undefined
}

/**
 * The machine's disk with a memory of what is durable: bytes until the file's last fsync, names
 * until the folder's. `cut` brings the folder into a state in which a power cut may leave it.
 */
export class PowerDisk implements Disk {
  readonly #names = new Map<string, Inode | 'folder'>()
  readonly #changes = new Map<string, NameChange[]>()
  readonly #dirty = new Set<Inode>()
  readonly #handles: DiskFile[] = []
  #isOff = false

  async open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile> {
    this.#check()
    await this.#learn(path)
    const file = await nodeDisk.open(path, mode)
    this.#handles.push(file)
    const inode = this.#inodeAt(path) ?? this.#create(path, file)
    return this.#wrap(file, inode)
  }

  async rename(from: string, to: string): Promise<void> {
    this.#check()
    await this.#learn(from)
    await this.#learn(to)
    await nodeDisk.rename(from, to)
    const inode = this.#names.get(from)
    this.#change(to, inode)
    this.#change(from, undefined)
  }

  async unlink(path: string): Promise<void> {
    this.#check()
    await this.#learn(path)
    await nodeDisk.unlink(path)
    this.#change(path, undefined)
  }

  /** What somebody else wrote is durable; our name for it is not. */
  async take(from: string, to: string): ReturnType<Disk['take']> {
    this.#check()
    await this.#learn(from)
    const how = await nodeDisk.take(from, to)
    this.#change(to, this.#names.get(from))
    return how
  }

  async mkdir(path: string): Promise<boolean> {
    this.#check()
    const isNew = await nodeDisk.mkdir(path)
    if (isNew) this.#change(path, 'folder')
    return isNew
  }

  async fsyncFolder(path: string): Promise<void> {
    this.#check()
    await nodeDisk.fsyncFolder(path)
    this.#changes.delete(path)
  }

  async list(path: string): Promise<string[]> {
    this.#check()
    return nodeDisk.list(path)
  }

  async identity(path: string): ReturnType<Disk['identity']> {
    this.#check()
    return nodeDisk.identity(path)
  }

  async readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
    this.#check()
    return nodeDisk.readFile(path, maxBytes)
  }

  async remove(path: string): Promise<void> {
    this.#check()
    await this.#learn(path)
    await nodeDisk.remove(path)
    if (this.#names.has(path)) this.#change(path, undefined)
  }

  /** From now on every call fails, as the machine is off. */
  turnOff(): void {
    this.#isOff = true
  }

  /** Leaves on the disk what the survival says. Call when nobody uses the disk any more. */
  async cut(survival: Survival): Promise<void> {
    this.turnOff()
    const contents = new Map<Inode, Buffer>()
    for (const inode of this.#dirty) contents.set(inode, await survivingBytes(inode, survival))
    for (const [path, inode] of this.#names) {
      if (inode !== 'folder' && contents.has(inode)) await put(path, contents.get(inode))
    }
    for (const changes of this.#changes.values()) {
      const kept = Math.round(survival.names() * changes.length)
      for (const change of changes.slice(kept).toReversed()) await this.#undo(change, contents)
    }
    for (const file of this.#handles) await file.close().catch(() => {})
  }

  readonly #before = new WeakMap<NameChange, Inode | 'folder' | undefined>()

  async #undo(change: NameChange, contents: Map<Inode, Buffer>): Promise<void> {
    const before = this.#before.get(change)
    if (before === 'folder') return
    if (before === undefined) return rm(change.path, { recursive: true, force: true })
    await put(change.path, contents.get(before) ?? before.synced)
  }

  #check(): void {
    if (this.#isOff) throw new Error('the power is off')
  }

  /** What was there before we looked is durable. */
  async #learn(path: string): Promise<void> {
    if (this.#names.has(path)) return
    try {
      const synced = await readFile(path)
      this.#names.set(path, { synced, current: async () => synced })
    } catch {
      // Absent, or a folder: nothing to remember.
    }
  }

  #inodeAt(path: string): Inode | undefined {
    const inode = this.#names.get(path)
    return inode === 'folder' ? undefined : inode
  }

  #create(path: string, file: DiskFile): Inode {
    const inode: Inode = { synced: Buffer.alloc(0), current: () => bytesOf(file) }
    this.#dirty.add(inode)
    this.#change(path, inode)
    return inode
  }

  #change(path: string, inode: NameChange['inode']): void {
    const change = { path, inode }
    this.#before.set(change, this.#names.get(path))
    const folder = dirname(path)
    this.#changes.set(folder, [...(this.#changes.get(folder) ?? []), change])
    if (inode === undefined) this.#names.delete(path)
    else this.#names.set(path, inode)
  }

  #wrap(file: DiskFile, inode: Inode): DiskFile {
    let isOpen = true
    const live = async <T>(work: () => Promise<T>): Promise<T> => {
      this.#check()
      return work()
    }
    const note = (): void => {
      this.#dirty.add(inode)
      inode.current = () => bytesOf(file)
    }
    return {
      write: (bytes, position) => live(() => (note(), file.write(bytes, position))),
      read: (into, position) => live(() => file.read(into, position)),
      truncate: (size) => live(() => (note(), file.truncate(size))),
      fsync: () =>
        live(async () => {
          await file.fsync()
          inode.synced = await bytesOf(file)
          this.#dirty.delete(inode)
        }),
      identity: () => live(() => file.identity()),
      close: async () => {
        if (!isOpen) return
        isOpen = false
        const bytes = await bytesOf(file)
        inode.current = async () => bytes
        await file.close()
      },
    }
  }
}

async function survivingBytes(inode: Inode, survival: Survival): Promise<Buffer> {
  const current = await inode.current()
  const share = survival.data()
  if (share >= 1) return current
  // A file that only grew keeps its synced part; the rest is torn anywhere.
  const grown = current.length - inode.synced.length
  if (grown < 0 || !current.subarray(0, inode.synced.length).equals(inode.synced)) {
    return inode.synced
  }
  return current.subarray(0, inode.synced.length + Math.floor(share * grown))
}

async function bytesOf(file: DiskFile): Promise<Buffer> {
  const { size } = await file.identity()
  const bytes = Buffer.alloc(size)
  await file.read(bytes, 0)
  return bytes
}

async function put(path: string, bytes: Buffer | undefined): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, bytes ?? '')
}

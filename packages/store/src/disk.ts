import { constants } from 'node:fs'
import {
  copyFile,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  unlink,
} from 'node:fs/promises'
import { errnoOf } from './errors.ts'

/** What of a file's state tells that nobody touched it. */
export interface FileIdentity {
  readonly size: number
  /** Device, inode, size, mtime and ctime: equal means untouched. */
  readonly stamp: string
  /** It has other names: whoever holds one may change its bytes. */
  readonly isShared: boolean
  /** When anything of it last changed (ctime), milliseconds since 1970. */
  readonly changedMs: number
  /** Neither a folder, nor a link, nor a device. */
  readonly isFile: boolean
}

/** How a file of somebody else came to us: its blocks, its inode or its bytes. */
export type Taken = 'cloned' | 'linked' | 'copied'

/** An open file. */
export interface DiskFile {
  /** Writes all of it. */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** Reads up to `into.length` bytes; returns how many. */
  read(into: Uint8Array, position: number): Promise<number>
  truncate(size: number): Promise<void>
  fsync(): Promise<void>
  identity(): Promise<FileIdentity>
  close(): Promise<void>
}

/** The few calls on which durability hangs, so that tests can fail each, kill at each or cut the power. */
export interface Disk {
  /** `create` makes a new file or fails; `write` opens or makes one; links are never followed. */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<DiskFile>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Gives a file a new name of ours, without copying bytes where the file systems allow that. */
  take(from: string, to: string): Promise<Taken>
  /** Makes a folder, mode 0700. False when it was there. */
  mkdir(path: string): Promise<boolean>
  fsyncFolder(path: string): Promise<void>
  /** Names in a folder; empty when it does not exist. */
  list(path: string): Promise<string[]>
  /** Undefined when absent; a link is an error. */
  identity(path: string): Promise<FileIdentity | undefined>
  /** The whole file, undefined when absent or larger than `maxBytes`. */
  readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined>
  /** Removes a file or tree; nothing when absent. */
  remove(path: string): Promise<void>
}

const openFlags = {
  read: constants.O_RDONLY | constants.O_NOFOLLOW,
  write: constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW,
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
} as const

/** The machine's disk. */
export const nodeDisk: Disk = {
  open: async (path, mode) => new NodeFile(await open(path, openFlags[mode], 0o600)),
  rename: (from, to) => rename(from, to),
  unlink: (path) => unlink(path),
  take,
  mkdir: async (path) => {
    try {
      await mkdir(path, { mode: 0o700 })
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      throw error
    }
  },
  fsyncFolder: async (path) => {
    const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  },
  list: async (path) => (await absentAsUndefined(readdir(path))) ?? [],
  identity: async (path) => {
    const stats = await absentAsUndefined(lstat(path, { bigint: true }))
    return stats === undefined ? undefined : identityOf(stats)
  },
  readFile: async (path, maxBytes) => {
    const stats = await absentAsUndefined(lstat(path))
    if (stats === undefined || !stats.isFile() || stats.size > maxBytes) return undefined
    return absentAsUndefined(readFile(path, { flag: constants.O_RDONLY | constants.O_NOFOLLOW }))
  },
  remove: (path) => rm(path, { recursive: true, force: true }),
}

class NodeFile implements DiskFile {
  readonly #handle: FileHandle
  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(
        bytes,
        done,
        bytes.length - done,
        position + done,
      )
      done += bytesWritten
    }
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    const { bytesRead } = await this.#handle.read(into, 0, into.length, position)
    return bytesRead
  }

  async truncate(size: number): Promise<void> {
    await this.#handle.truncate(size)
  }

  async fsync(): Promise<void> {
    await this.#handle.sync()
  }

  async identity(): Promise<FileIdentity> {
    return identityOf(await this.#handle.stat({ bigint: true }))
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/** Why a hard link cannot be: another file system, somebody else's file, too many links, or none at all here. */
const noLink = new Set(['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

async function take(from: string, to: string): Promise<Taken> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
    return 'cloned'
  } catch {
    // Few file systems can: what is really wrong with the file the next call says.
  }
  try {
    await link(from, to)
    return 'linked'
  } catch (error) {
    if (!noLink.has(errnoOf(error) ?? '')) throw error
  }
  await copyFile(from, to, constants.COPYFILE_EXCL)
  return 'copied'
}

interface BigStats {
  readonly size: bigint
  readonly nlink: bigint
  readonly dev: bigint
  readonly ino: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  isFile(): boolean
}

function identityOf(stats: BigStats): FileIdentity {
  const { dev, ino, size, mtimeNs, ctimeNs, nlink } = stats
  return {
    size: Number(size),
    stamp: [dev, ino, size, mtimeNs, ctimeNs].join(' '),
    isShared: nlink > 1n,
    changedMs: Number(ctimeNs / 1_000_000n),
    isFile: stats.isFile(),
  }
}

async function absentAsUndefined<T>(wait: Promise<T>): Promise<T | undefined> {
  try {
    return await wait
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

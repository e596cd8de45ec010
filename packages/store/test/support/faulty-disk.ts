import { type Disk, type DiskFile, nodeDisk } from '../../src/disk.ts'

/** An error as the system gives it. */
export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}

/** Asked before every call; may throw, or wait. */
export type OnCall = (call: string, path: string) => void | Promise<void>

/** The machine's disk with somebody at the door of every call. */
export function guardedDisk(onCall: OnCall): Disk {
  const guard =
    <A extends [string, ...unknown[]], R>(call: string, work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await onCall(call, args[0])
      return work(...args)
    }
  return {
    open: async (path, mode) => {
      await onCall('open', path)
      return guardedFile(await nodeDisk.open(path, mode), path, onCall)
    },
    rename: guard('rename', (from: string, to: string) => nodeDisk.rename(from, to)),
    unlink: guard('unlink', (path: string) => nodeDisk.unlink(path)),
    take: guard('take', (from: string, to: string) => nodeDisk.take(from, to)),
    mkdir: guard('mkdir', (path: string) => nodeDisk.mkdir(path)),
    fsyncFolder: guard('fsyncFolder', (path: string) => nodeDisk.fsyncFolder(path)),
    list: guard('list', (path: string) => nodeDisk.list(path)),
    identity: guard('identity', (path: string) => nodeDisk.identity(path)),
    readFile: guard('readFile', (path: string, max: number) => nodeDisk.readFile(path, max)),
    remove: guard('remove', (path: string) => nodeDisk.remove(path)),
  }
}

function guardedFile(file: DiskFile, path: string, onCall: OnCall): DiskFile {
  const guard =
    <A extends unknown[], R>(call: string, work: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      await onCall(call, path)
      return work(...args)
    }
  return {
    write: guard('write', (bytes: Uint8Array, position: number) => file.write(bytes, position)),
    read: guard('read', (into: Uint8Array, position: number) => file.read(into, position)),
    truncate: guard('truncate', (size: number) => file.truncate(size)),
    fsync: guard('fsync', () => file.fsync()),
    identity: guard('identity', () => file.identity()),
    // Closing always closes: a leaked handle would break the test itself.
    close: () => file.close(),
  }
}

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Disk } from './disk.ts'
import { asError } from './errors.ts'
import type { Layout } from './layout.ts'
import { probeBytes, zipProbeBytes } from './limits.ts'

/** Writes a small file and removes it; what that failed with, undefined when it worked. */
export async function tryWrite(
  disk: Disk,
  path: string,
  bytes: number = probeBytes,
): Promise<Error | undefined> {
  try {
    const file = await disk.open(path, 'write')
    try {
      // Zeros would take no space on some file systems.
      await file.write(randomBytes(bytes), 0)
    } finally {
      await file.close()
      await disk.remove(path)
    }
    return undefined
  } catch (error) {
    return asError(error)
  }
}

/** Whether there is room and permission wherever zips and records are written. What it leaves when killed is ignored there. */
export async function canKeep(disk: Disk, layout: Layout): Promise<boolean> {
  const { staging, zips, meta } = layout
  for (const folder of [staging, zips, meta]) {
    const bytes = folder === staging ? zipProbeBytes : probeBytes
    if ((await tryWrite(disk, join(folder, 'probe.try'), bytes)) !== undefined) return false
  }
  return true
}

import { randomBytes } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { Disk } from './disk.ts'
import type { Layout } from './layout.ts'

/**
 * Puts bytes at a path of a folder that is there: a reader finds all of them or what was there before, and after a
 * power cut, too, where it is to be durable. Throws what the disk says; nothing of it stays then.
 */
export async function replaceFile(
  { disk, layout }: { readonly disk: Disk; readonly layout: Layout },
  path: string,
  bytes: Uint8Array,
  { isDurable }: { readonly isDurable: boolean },
): Promise<void> {
  const temporary = join(layout.staging, `${randomBytes(16).toString('hex')}.tmp`)
  try {
    const file = await disk.open(temporary, 'create')
    try {
      await file.write(bytes, 0)
      if (isDurable) await file.fsync()
    } finally {
      await file.close()
    }
    await disk.rename(temporary, path)
    if (isDurable) await disk.fsyncFolder(dirname(path))
  } catch (error) {
    await disk.remove(temporary).catch(() => {
      // The next start empties staging.
    })
    throw error
  }
}

import { randomBytes } from 'node:crypto'
import type { Disk } from './disk.ts'
import { asError, errnoOf } from './errors.ts'
import type { Layout } from './layout.ts'
import { reserveBytes } from './limits.ts'
import type { ReportEvent } from './store-event.ts'
import { tryWrite } from './try-write.ts'

/**
 * Keeps a little space for a start on a full disk: what is held can be served then, which is all that
 * such a node can do, and much. Never throws: a disk that is full already has none to keep.
 */
export async function keepReserve(
  { disk, report }: { readonly disk: Disk; readonly report: ReportEvent },
  { reserve }: Layout,
): Promise<void> {
  try {
    if ((await disk.identity(reserve))?.size === reserveBytes) return
    const file = await disk.open(reserve, 'write')
    try {
      // Zeros would take no space on some file systems.
      await file.write(randomBytes(reserveBytes), 0)
    } finally {
      await file.close()
    }
  } catch (error) {
    report({ kind: 'tidy-failed', path: reserve, error: asError(error) })
  }
}

/** Gives the space back when there is no other. Never throws: whoever needs it says what is wrong. */
export async function spendReserve(disk: Disk, { reserve }: Layout): Promise<void> {
  const errno = errnoOf(await tryWrite(disk, `${reserve}.try`))
  if (errno !== 'ENOSPC' && errno !== 'EDQUOT') return
  // Where it cannot be removed nothing is lost.
  await disk.remove(reserve).catch(() => {})
}

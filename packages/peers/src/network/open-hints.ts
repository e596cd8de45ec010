import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { PeerDatastoreLockedError } from './errors.ts'
import { HintDatastore } from './hint-datastore.ts'
import type { HintLimits } from './hint-quota.ts'
import { HintQuota } from './hint-quota.ts'
import type { NetworkEvent } from './network-event.ts'

/**
 * Opens the folder of hints, or makes it. A damaged one is thrown away and made anew. Throws
 * PeerDatastoreLockedError when another process holds it, the file system's error when it cannot be
 * made.
 */
export async function openHints(
  components: { readonly log: (event: NetworkEvent) => void },
  init: {
    readonly dir: string
    readonly selfPeerId: string
    readonly limits?: HintLimits | undefined
  },
): Promise<HintDatastore> {
  // A folder of its own, versioned: throwing it away never touches anything else.
  const path = join(init.dir, 'hints-v1')
  await mkdir(path, { recursive: true, mode: 0o700 })
  try {
    return await openAt(path, init)
  } catch (error) {
    if (isLocked(error)) {
      throw new PeerDatastoreLockedError(`another process uses ${path}`, { cause: error })
    }
    await rm(path, { recursive: true, force: true })
    await mkdir(path, { recursive: true, mode: 0o700 })
    const store = await openAt(path, init)
    components.log({ kind: 'hints-recreated', message: messageOf(error) })
    return store
  }
}

async function openAt(
  path: string,
  init: { readonly selfPeerId: string; readonly limits?: HintLimits | undefined },
): Promise<HintDatastore> {
  const db = new Level<string, Uint8Array>(path, { keyEncoding: 'utf8', valueEncoding: 'view' })
  await db.open({ createIfMissing: true, compression: false })
  const store = new HintDatastore(db, new HintQuota(init))
  try {
    await store.count()
  } catch (error) {
    await db.close()
    throw error
  }
  return store
}

function isLocked(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED'
}

function messageOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return cause instanceof Error ? cause.message : String(cause)
}

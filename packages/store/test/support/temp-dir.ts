import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A folder of the running test's own, removed when it ends. Concurrent tests pass their context's `finished`. */
export async function tempDir(
  finished: (work: () => Promise<void>) => void = onTestFinished,
): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'modmesh-store-'))
  finished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

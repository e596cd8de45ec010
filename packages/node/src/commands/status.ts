import { join } from 'node:path'
import { askNode } from '../control-socket/client.ts'
import { CommandError, errorCode, NodeNotRunningError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { pathExists } from '../path-exists.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { type RunningStatus, type Status, type StoreStatus, statusSchema } from '../status.ts'
import { formatStatus } from '../status-text.ts'

/** A node under full load still answers in this time. Milliseconds. */
const answerTimeoutMs = 10_000

/** `modmesh status`: 0 ready, 20 degraded, 21 not running. */
export async function status(
  flags: FlagTexts & { readonly json?: true },
  around: Surroundings,
): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  const found = await findStatus(dir)
  process.stdout.write(flags.json ? `${JSON.stringify(found)}\n` : textFor(found))
  if (!found.running) {
    if (flags.json) process.stderr.write(`modmesh: ${found.message}\n`)
    return exitCodes.notRunning
  }
  return found.state === 'degraded' ? exitCodes.degraded : exitCodes.done
}

async function findStatus(dir: string): Promise<Status> {
  try {
    const signal = AbortSignal.timeout(answerTimeoutMs)
    return readStatus(await askNode(dir, { command: 'status' }, { signal }))
  } catch (error) {
    if (!(error instanceof NodeNotRunningError)) throw error
    const store = await readStore(dir)
    return { schema: statusSchema, running: false, dir, message: error.message, store }
  }
}

/** The socket's permissions make the node on it ours: its own schema number is check enough. */
function readStatus(result: unknown): RunningStatus {
  if (typeof result === 'object' && result !== null && 'schema' in result) {
    if (result.schema === statusSchema) return result as RunningStatus
  }
  throw new CommandError(
    'the running node reports its status in another form; use its own version of modmesh',
    {
      exitCode: exitCodes.failed,
    },
  )
}

/**
 * What the store holds is extra here: there may be none, it may not be ours to read, or another
 * process works on it.
 */
async function readStore(dir: string): Promise<StoreStatus | null> {
  if (!(await isThere(join(dir, 'store')))) return null
  const { DiskStore, StoreAccessError, StoreLockedError } = await import('@modmesh/store')
  try {
    await using store = await DiskStore.open({ dir })
    return await store.stats()
  } catch (error) {
    if (error instanceof StoreAccessError || error instanceof StoreLockedError) return null
    throw error
  }
}

/** One that is not ours to look at counts as none. */
async function isThere(path: string): Promise<boolean> {
  try {
    return await pathExists(path)
  } catch (error) {
    if (errorCode(error) === 'EACCES') return false
    throw error
  }
}

function textFor(found: Status): string {
  const colour = process.stdout.isTTY && process.stdout.hasColors() && !process.env.NO_COLOR
  return formatStatus(found, { nowMs: Date.now(), colour })
}

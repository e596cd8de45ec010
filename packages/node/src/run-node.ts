import { setTimeout as sleep } from 'node:timers/promises'
import type { RunningNode } from './build-node.ts'
import { prepareDataDir } from './data-dir.ts'
import { boundGarbage, cacheCode, relaxCollections, shrinkWhenIdle } from './engine.ts'
import { errorText } from './errors.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { Lifecycle } from './lifecycle.ts'
import { type Logger, openLog } from './log.ts'
import type { ReadOptions } from './read-options.ts'
import type { Surroundings } from './settings.ts'
import { explainStartError } from './start-error.ts'
import { planStart } from './start-plan.ts'
import { programVersion } from './version.ts'

/** How long a start waits for its first peer before it says ready (design, section 7). Milliseconds. */
const firstPeerMs = 2_000
/** A stop that takes longer is cut; draining has 9 s of it. Milliseconds. */
const stopMs = 10_000

/** Runs a node until a signal ends it. Throws UsageError and CommandError, with what to do. */
export async function runNode(
  read: ReadOptions,
  around: Surroundings,
  stopSignal: Promise<NodeJS.Signals>,
): Promise<ExitCode> {
  const plan = await planStart(read)
  const log = openLog(read.settings.log)
  endOnUnexpected(log)
  const lifecycle = new Lifecycle(log)
  try {
    const { dir } = read.settings
    await prepareDataDir(dir)
    relaxCollections()
    boundGarbage()
    shrinkWhenIdle()
    cacheCode(dir)
    // Loaded after all that was checked: a usage error need not wait for the mesh.
    const { buildNode } = await import('./build-node.ts')
    const node = await orExit(buildNode(plan, { log, lifecycle, around }), stopSignal)
    const early = await Promise.race([firstPeer(node), stopSignal])
    if (early === undefined) announceReady(node, log)
    const signal = await stopSignal
    node.state.phase = 'stopping'
    log.info({ signal }, 'stopping')
  } catch (error) {
    await lifecycle.stop()
    throw explainStartError(error, read)
  }
  cutLateStop(log)
  await lifecycle.stop()
  log.info('stopped')
  // Nothing is left to wait for; a forgotten timer must not keep the process.
  process.exit(exitCodes.done)
}

/** A signal while nothing is served yet ends the process at once: a start can be cut anywhere. */
async function orExit<T>(starting: Promise<T>, stopSignal: Promise<unknown>): Promise<T> {
  const started = starting.then((value) => ({ value }))
  const first = await Promise.race([started, stopSignal.then(() => undefined)])
  return first === undefined ? process.exit(exitCodes.done) : first.value
}

/** Resolves when a node may say ready: a lone one at once, one with a mesh with its first peer, or after waiting for it. */
export async function firstPeer({ mesh, state }: RunningNode): Promise<void> {
  if (mesh.meshId() === undefined) return
  const waited = new AbortController()
  const late = sleep(Math.max(0, firstPeerMs - state.uptimeMs), undefined, waited)
  await Promise.race([state.firstPeer, late])
  waited.abort()
  await late.catch(() => undefined) // what aborting it throws
}

function announceReady({ mesh, state }: RunningNode, log: Logger): void {
  state.phase = 'ready'
  const fields = [`proxy=${state.url}`, `mesh=${mesh.meshId() ?? 'none'}`, `peer=${mesh.peerId}`]
  process.stdout.write(`ready ${fields.join(' ')}\n`)
  log.info({ version: programVersion(), proxy: state.url }, 'ready')
}

/** Limping on after an unknown failure could serve what nobody checked: log, end, be restarted. */
function endOnUnexpected(log: Logger): void {
  const end = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack : undefined
    log.fatal({ reason: errorText(error), stack }, 'unexpected failure')
    process.exit(exitCodes.failed)
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
}

function cutLateStop(log: Logger): void {
  const timer = setTimeout(() => {
    log.warn('stopping took too long, cut')
    process.exit(exitCodes.done)
  }, stopMs)
  timer.unref()
}

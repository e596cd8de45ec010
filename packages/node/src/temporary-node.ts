import type { RunningNode } from './build-node.ts'
import { prepareDataDir } from './data-dir.ts'
import { boundGarbage, cacheCode, relaxCollections } from './engine.ts'
import { Lifecycle } from './lifecycle.ts'
import { openLog } from './log.ts'
import { type FlagTexts, type ReadOptions, readOptions } from './read-options.ts'
import { firstPeer } from './run-node.ts'
import type { Settings, Surroundings } from './settings.ts'
import { explainStartError } from './start-error.ts'
import { planStart } from './start-plan.ts'

/** A node in this process, for the time of a command. */
export interface TemporaryNode extends AsyncDisposable, RunningNode {
  readonly dir: string
}

/**
 * Starts a node with the options of `start`, on free ports of this host: nobody knows of it but this command. Says
 * only what goes wrong. Throws CommandError: 22 when another process has the store.
 */
export async function startTemporaryNode(
  flags: FlagTexts,
  around: Surroundings,
): Promise<TemporaryNode> {
  const read = onFreePorts(await readOptions(flags, around))
  const plan = await planStart(read)
  const log = openLog(read.settings.log)
  const lifecycle = new Lifecycle(log)
  const { dir } = read.settings
  try {
    await prepareDataDir(dir)
    relaxCollections()
    boundGarbage()
    cacheCode(dir)
    const { buildNode } = await import('./build-node.ts')
    const node = await buildNode(plan, { log, lifecycle, around })
    await firstPeer(node)
    node.state.phase = 'ready'
    return { ...node, dir, [Symbol.asyncDispose]: () => stop(node, lifecycle) }
  } catch (error) {
    await lifecycle.stop()
    throw explainStartError(error, read)
  }
}

async function stop({ state }: RunningNode, lifecycle: Lifecycle): Promise<void> {
  state.phase = 'stopping'
  await lifecycle.stop()
}

function onFreePorts(read: ReadOptions): ReadOptions {
  const isLogSet = read.origins.get('log')?.kind !== 'default'
  const settings: Settings = {
    ...read.settings,
    listen: ['127.0.0.1:0'],
    meshListen: withFreePort(read.settings.meshListen),
    log: isLogSet ? read.settings.log : 'error',
  }
  return { ...read, settings }
}

/** The same host: another one may not be reachable for members. */
function withFreePort(listen: string): string {
  return `${listen.slice(0, listen.lastIndexOf(':'))}:0`
}

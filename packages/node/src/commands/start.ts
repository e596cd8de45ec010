import { prepareDataDir } from '../data-dir.ts'
import { cacheCode, hasCachedCode, hideArguments } from '../engine.ts'
import type { ExitCode } from '../exit-codes.ts'
import { type FlagTexts, readOptions } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'

/** `modmesh start`: runs the node until a signal ends it. */
export async function start(flags: FlagTexts, around: Surroundings): Promise<ExitCode> {
  process.umask(0o077)
  hideArguments('start')
  const stopSignal = nextStopSignal()
  const read = await readOptions(flags, around)
  const { dir } = read.settings
  if (await hasCachedCode(dir)) {
    await prepareDataDir(dir)
    cacheCode(dir)
  }
  // What is large is loaded from here on: from the second start on it is compiled already.
  const { runNode } = await import('../run-node.ts')
  return await runNode(read, around, stopSignal)
}

/** Resolves with the first SIGTERM or SIGINT; the second ends the process at once. */
function nextStopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let stopping = false
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (stopping) process.exit(signal === 'SIGINT' ? 130 : 143)
        stopping = true
        resolve(signal)
      })
    }
  })
}

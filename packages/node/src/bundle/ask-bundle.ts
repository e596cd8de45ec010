import { exchangeWithNode, type StreamedExchange } from '../control-socket/client.ts'
import type { BundleRequest } from '../control-socket/requests.ts'
import { NodeNotRunningError } from '../errors.ts'
import { type FlagTexts, readOptions } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { asStoreTrouble, demandStore } from '../store-trouble.ts'

/**
 * Has a bundle made or taken in by the node that runs on a data directory or, with none running, by the store itself.
 * Throws CommandError: 22 when another process has the store, 1 when there is none to export from.
 */
export async function askBundle(
  {
    dir,
    flags,
    around,
  }: {
    readonly dir: string
    readonly flags: FlagTexts
    readonly around: Surroundings
  },
  request: BundleRequest,
  exchanged: StreamedExchange,
): Promise<unknown> {
  try {
    return await exchangeWithNode(dir, request, exchanged)
  } catch (error) {
    if (!(error instanceof NodeNotRunningError)) throw error
  }
  if (request.command === 'export') await demandStore(dir)
  return await askFiles({ ...flags, dir }, around, request, exchanged)
}

/** Loaded here: with a node running the command needs none of it. */
async function askFiles(
  flags: FlagTexts,
  around: Surroundings,
  request: BundleRequest,
  { send, receive, signal, onProgress = () => {} }: StreamedExchange,
): Promise<unknown> {
  const { openBundleComponents } = await import('./open-components.ts')
  const { answerBundleRequest } = await import('./answer.ts')
  try {
    await using opened = await openBundleComponents(await readOptions(flags, around), around)
    const stream = { receive: () => send, send: receive }
    return await answerBundleRequest(opened, request, { signal, onProgress, stream })
  } catch (error) {
    throw asStoreTrouble(error)
  }
}

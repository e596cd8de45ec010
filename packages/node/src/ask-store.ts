import type { AdoptTrust } from './adopt/answer-adopt.ts'
import { type AskOptions, askNode } from './control-socket/client.ts'
import type { StoreRequest } from './control-socket/requests.ts'
import { prepareDataDir } from './data-dir.ts'
import { NodeNotRunningError } from './errors.ts'
import type { Settings } from './settings.ts'
import { asStoreTrouble, demandStore } from './store-trouble.ts'

interface AskStoreOptions extends AskOptions {
  /** What is asked with no node running, where a running one would add what it was configured with. */
  readonly withoutNode?: () => Promise<StoreRequest>
  /** What is believed of a module cache with no node running. */
  readonly settings?: () => Promise<Pick<Settings, 'sumdb' | 'private'>>
  /** Makes a store where there is none. */
  readonly mayCreate?: true
}

/**
 * Has a request done by the node that runs on a data directory or, with none running, on the store
 * itself. Throws CommandError: 22 when another process has the store, 1 when there is none.
 */
export async function askStore(
  dir: string,
  request: StoreRequest,
  options: AskStoreOptions,
): Promise<unknown> {
  try {
    return await askNode(dir, request, options)
  } catch (error) {
    if (!(error instanceof NodeNotRunningError)) throw error
  }
  if (options.mayCreate) await prepareDataDir(dir)
  else await demandStore(dir)
  return await askFiles(dir, (await options.withoutNode?.()) ?? request, options)
}

/** Loaded here: with a node running the command needs none of it. */
async function askFiles(
  dir: string,
  request: StoreRequest,
  { signal, onProgress = () => {}, settings }: AskStoreOptions,
): Promise<unknown> {
  const { DiskStore } = await import('@modmesh/store')
  const { answerStoreRequest } = await import('./store-answers.ts')
  try {
    await using store = await DiskStore.open({ dir })
    await using stack = new AsyncDisposableStack()
    const trust = async (): Promise<AdoptTrust> => {
      const { openOfflineTrust } = await import('./adopt/offline-trust.ts')
      return stack.use(
        openOfflineTrust(store, (await settings?.()) ?? { sumdb: 'off', private: [] }),
      )
    }
    return await answerStoreRequest(store, request, { signal, onProgress, trust })
  } catch (error) {
    throw asStoreTrouble(error)
  }
}

import type { ModulePath, ModuleVersion } from '@modmesh/module'
import type { ByteSink } from './zip-store.ts'

/** A mutable answer of upstream, with where it came from. */
export interface UpstreamAnswer {
  readonly bytes: Uint8Array
  /** The upstream's origin for display, never with credentials. */
  readonly from: string
  /** Set when it came from version control, and no proxy was asked. */
  readonly via?: 'direct'
  /** What upstream can be asked with whether these are still its bytes. Opaque, short text, no secrets. */
  readonly validator?: string
}

/** How an answer that changes is asked for. */
export interface MutableAsk {
  readonly signal: AbortSignal
  /** What upstream answered before. When it says that nothing changed, these very bytes come back. */
  readonly known?: { readonly bytes: Uint8Array; readonly validator: string }
}

/**
 * The GOPROXY list above us. Throws ModuleNotFoundError (404, 410), UpstreamUnavailableError
 * (all else), OfflineError (nothing is configured or `--offline`: no network was touched).
 */
export interface Upstream {
  /** False when nothing can be asked, for a path or at all: `off`, or `--offline`. Memory only. */
  isEnabled(path?: ModulePath): boolean
  fetchZip(
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal; readonly onReset: () => Promise<void> },
  ): Promise<Pick<UpstreamAnswer, 'from' | 'via'>>
  /** Makes the next answers about a version come from its origin as it is then. Never rejects. */
  forget?(module: ModuleVersion): Promise<void>
  fetchMod(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<UpstreamAnswer>
  fetchInfo(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<UpstreamAnswer>
  fetchList(path: ModulePath, options: MutableAsk): Promise<UpstreamAnswer>
  fetchLatest(path: ModulePath, options: MutableAsk): Promise<UpstreamAnswer>
  /** `.info` of a branch, tag or commit prefix. */
  fetchQuery(path: ModulePath, query: string, options: MutableAsk): Promise<UpstreamAnswer>
}

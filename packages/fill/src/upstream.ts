import type { ModulePath, ModuleVersion } from '@modmesh/module'
import type { ByteSink } from './zip-store.ts'

/** A mutable answer of upstream, with where it came from. */
export interface UpstreamAnswer {
  readonly bytes: Uint8Array
  /** The upstream's origin for display, never with credentials. */
  readonly from: string
}

/**
 * The GOPROXY list above us. Throws ModuleNotFoundError (404, 410), UpstreamUnavailableError
 * (all else), OfflineError (nothing is configured or `--offline`: no network was touched).
 */
export interface Upstream {
  /** False when nothing can be asked: `off`, or `--offline`. Memory only. */
  isEnabled(): boolean
  fetchZip(
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal; readonly onReset: () => Promise<void> },
  ): Promise<{ readonly from: string }>
  fetchMod(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<UpstreamAnswer>
  fetchInfo(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<UpstreamAnswer>
  fetchList(path: ModulePath, options: { readonly signal: AbortSignal }): Promise<UpstreamAnswer>
  fetchLatest(path: ModulePath, options: { readonly signal: AbortSignal }): Promise<UpstreamAnswer>
  /** `.info` of a branch, tag or commit prefix. */
  fetchQuery(
    path: ModulePath,
    query: string,
    options: { readonly signal: AbortSignal },
  ): Promise<UpstreamAnswer>
}

import type { Multiaddr } from '@multiformats/multiaddr'
import type { PeerTarget, TargetOrigin } from './dial-target.ts'
import { type NamePace, NameWatch } from './name-watch.ts'
import { type NamedHost, type ResolveName, systemResolve } from './resolve-name.ts'

/** What following names needs. */
export interface DialNamesComponents {
  /** For tests: finds the addresses of names. */
  readonly resolve?: ResolveName | undefined
  /** Called with all addresses that a name has now. */
  readonly changed: (text: string, addresses: readonly Multiaddr[], origin: TargetOrigin) => void
  readonly failed: (text: string, message: string) => void
}

/** Follows the host names among the addresses that the node is to dial. */
export class DialNames {
  readonly #components: DialNamesComponents
  readonly #pace: NamePace | undefined
  /** Names by their addresses as given. */
  readonly #watches = new Map<string, NameWatch>()
  #started = false

  constructor(components: DialNamesComponents, init: { readonly pace?: NamePace | undefined }) {
    this.#components = components
    this.#pace = init.pace
  }

  /** Follows a name, from the start on; `text` is the address as given. */
  add(text: string, name: NamedHost, origin: TargetOrigin): void {
    if (this.#watches.has(text)) return
    const { resolve = systemResolve, changed, failed } = this.#components
    const watch = new NameWatch(
      {
        resolve,
        changed: (addresses) => changed(text, addresses, origin),
        failed: (message) => failed(text, message),
      },
      { name, pace: this.#pace },
    )
    this.#watches.set(text, watch)
    if (this.#started) watch.start()
  }

  start(): void {
    this.#started = true
    for (const watch of this.#watches.values()) watch.start()
  }

  stop(): void {
    for (const watch of this.#watches.values()) watch.stop()
  }

  /** Resolves a name soon: an address of it does not answer. */
  hurry(text: string): void {
    this.#watches.get(text)?.hurry()
  }

  /** Lists the names that cannot be resolved. */
  unresolved(): PeerTarget[] {
    return [...this.#watches].flatMap(([target, { failures, lastError }]) => {
      if (lastError === undefined) return []
      const nobody = { peer: undefined, connected: false, isWaiting: false } as const
      return [{ target, origin: 'configured', ...nobody, failures, lastError }]
    })
  }
}

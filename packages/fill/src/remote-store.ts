import type { ModuleVersion } from '@modmesh/module'
import type { RecordProof } from './checksum-db.ts'
import type { ByteSink, HeldZip } from './zip-store.ts'

/** What a remote store keeps of a module version, each in an object of its own. */
export type RemotePart = 'record' | 'mod' | 'info' | 'zip'

/** One object on its way to a remote store. */
export type RemoteObject =
  | { readonly part: 'mod' | 'info'; readonly module: ModuleVersion; readonly bytes: Uint8Array }
  | { readonly part: 'record'; readonly module: ModuleVersion; readonly record: RecordProof }
  | { readonly part: 'zip'; readonly module: ModuleVersion; readonly zip: HeldZip }

/**
 * A store that many nodes read and write, such as a bucket: asked after the mesh and before upstream.
 * It is believed as a peer is, which is not at all. Objects never change once they are right. All
 * methods throw RemoteError; one that is known to be down throws at once, without a network.
 */
export interface RemoteStore {
  /** For display, never with credentials. */
  readonly name: string
  /** False when it is only read. Memory only. */
  canWrite(): boolean
  /** Undefined when it has none; at most `maxModBytes`. */
  fetchFile(
    module: ModuleVersion,
    part: 'mod' | 'info',
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array | undefined>
  fetchRecord(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<RecordProof | undefined>
  /** False when it has none. `onReset` is awaited before a body is begun anew. */
  fetchZip(
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal; readonly onReset: () => Promise<void> },
  ): Promise<boolean>
  /** Writes an object; one that exists stays as it is unless `overwrite` is set. */
  write(
    object: RemoteObject,
    options: { readonly signal: AbortSignal; readonly overwrite: boolean },
  ): Promise<'written' | 'exists'>
}

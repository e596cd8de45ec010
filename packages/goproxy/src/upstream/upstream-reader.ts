import type { ByteSink } from '@modmesh/fill'
import type { ModuleVersion } from '@modmesh/module'

export interface ReadOptions {
  /** A longer answer is refused, bytes. */
  readonly maxBytes: number
  readonly signal: AbortSignal
}

/** What asking again brought. */
export type ReadAgain =
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'read'
      readonly bytes: Uint8Array
      /** What to ask with next time, where it told. */
      readonly validator?: string | undefined
    }

export interface CopyOptions extends ReadOptions {
  /** Called before the copy starts over, so that the sink can forget what it has. */
  readonly onReset: () => Promise<void>
}

/** One upstream as something that can be read. Paths are bang-escaped and begin with a slash. */
export interface UpstreamReader {
  /** For messages, never with credentials. */
  readonly name: string
  /** Set where no proxy is asked but version control. */
  readonly kind?: 'direct'
  /** Whether it says anything at all to anybody; never rejects. Absent where nothing tells that. */
  answers?(): Promise<boolean>
  /** Makes the next answers about a version come from its origin as it is then. Absent where they always do. */
  forget?(module: ModuleVersion): Promise<void>
  /** Reads a small file whole. Throws FetchError. */
  read(path: string, options: ReadOptions): Promise<Uint8Array>
  /** As `read`, unless the file is still what `validator` names. Absent where nothing tells that. */
  readAgain?(path: string, validator: string | undefined, options: ReadOptions): Promise<ReadAgain>
  /** Copies a large file. Throws FetchError; errors of the sink are passed on as they are. */
  copy(path: string, sink: ByteSink, options: CopyOptions): Promise<void>
}

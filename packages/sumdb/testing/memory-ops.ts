import { HeadConflictError } from '../src/errors.ts'
import type { ForkNotes, RefusedAnswer, SumdbOps } from '../src/sumdb-ops.ts'
import type { FakeSumdb } from './fake-sumdb.ts'

/** The same operations as functions that need no `this`, so that a test can wrap one in another. */
type Unbound<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (this: void, ...args: A) => R : T[K]
}

/** The effects of a client in memory, open to inspection and change by a test. Reusing it is a restart. */
export interface MemoryOps extends Unbound<SumdbOps> {
  /** The stored head. */
  head: string | undefined
  readonly cache: Map<string, Uint8Array>
  readonly evidence: ForkNotes[]
  readonly refused: RefusedAnswer[]
  /** Remote paths read so far, those asked of the database only with a `!` before. */
  readonly reads: string[]
}

/** Makes operations that read from a fake database, or from the function given, and keep all in memory. */
export function memoryOps(remote: FakeSumdb | SumdbOps['readRemote']): MemoryOps {
  const ops: MemoryOps = {
    head: undefined,
    cache: new Map(),
    evidence: [],
    refused: [],
    reads: [],
    async readRemote(path, options) {
      options.signal.throwIfAborted()
      ops.reads.push(options.databaseOnly === true ? `!${path}` : path)
      return typeof remote === 'function' ? remote(path, options) : remote.serve(path)
    },
    readHead: () => Promise.resolve(ops.head),
    async writeHead(previous, next) {
      if (ops.head !== previous) throw new HeadConflictError()
      ops.head = next
    },
    readCache: (path) => Promise.resolve(ops.cache.get(path)),
    async writeCache(path, bytes) {
      ops.cache.set(path, Uint8Array.from(bytes))
    },
    async dropCache(path) {
      ops.cache.delete(path)
    },
    async keepForkEvidence(notes) {
      ops.evidence.push(notes)
    },
    readForkEvidence: () => Promise.resolve(ops.evidence[0]),
    async keepRefused(answer) {
      ops.refused.push(answer)
    },
  }
  return ops
}

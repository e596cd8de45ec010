import type { ZipHash } from '@modmesh/module'
import type { AssembleJob } from './assemble-zip.ts'
import type { PackJob } from './pack-files.ts'
import type { KeptFile, UnpackJob } from './unpack-files.ts'

/** The text whose hash is a zip's h1. */
interface ManifestJob {
  readonly kind: 'manifest'
  readonly path: string
}

/** A manifest in the order of its names, as it is quickest handed over and kept. */
export interface NamesAndHashes {
  readonly names: readonly string[]
  /** 32 bytes each. */
  readonly hashes: Uint8Array
  /** Bytes of each file, inflated and as it lies in the zip. */
  readonly sizes: Float64Array
  readonly packedSizes: Float64Array
  readonly zipHash: ZipHash
}

/** What a thread is asked to do. */
export type DeltaJob = PackJob | UnpackJob | AssembleJob | ManifestJob

/** What is told to a running job. */
export type JobInput =
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  /** So many chunks were taken: as many more may come. */
  | { readonly kind: 'more' }
  | { readonly kind: 'stop' }

/** What a running job tells. */
export type JobOutput =
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array }
  | { readonly kind: 'kept'; readonly files: readonly KeptFile[] }
  | { readonly kind: 'lines'; readonly lines: NamesAndHashes }
  | { readonly kind: 'more' }
  | { readonly kind: 'done' }
  /** `malformed`, `unequal`: what came is bad; `failed`: something of ours. */
  | {
      readonly kind: 'failed'
      readonly why: 'malformed' | 'unequal' | 'stopped' | 'failed'
      readonly message: string
    }

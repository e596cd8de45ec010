import { maxZipBytes } from '@modmesh/module'
import { encode } from 'cborg'
import * as v from 'valibot'
import { decodeItem } from '../control/frame.ts'
import { ProtocolError } from '../errors.ts'
import { deltaLimits } from './limits.ts'

/** The protocol's name at multistream-select. */
export const deltaProtocol = '/modmesh/delta/1'
/** The ability to tell zips in parts, as the hello names it. */
export const deltaCapability = 'delta'

/** Asks for a zip, in parts or whole as the sender finds better. */
export interface DeltaRequest {
  readonly kind: 'zip'
  /** The 32 bytes of the h1. */
  readonly zipHash: Uint8Array
  /** Contents that the asker holds, each with a sketch of its manifest where it thinks that the sender does not. */
  readonly bases: readonly { readonly zipHash: Uint8Array; readonly sketch?: Uint8Array }[]
  /** The asker has the manifest. */
  readonly hasManifest: boolean
}

/** Asks for files of that zip. */
export interface FilesRequest {
  readonly kind: 'files'
  readonly form: 'P' | 'S' | 'F'
  /** Number of the base whose files are the dictionaries, of form P. */
  readonly base?: number
  /** Numbers of files in the manifest, as runs. */
  readonly files: Uint8Array
}

export type DeltaAsk = DeltaRequest | FilesRequest

/** What the sender says before the bytes. */
export type DeltaAnswer =
  /** The zip follows; of length 0 it is to be asked for as a body, which can go on after a cut. */
  | { readonly status: 'whole'; readonly length: number }
  /** Its manifest follows. */
  | {
      readonly status: 'manifest'
      readonly length: number
      /** Number of the base it is told against. */
      readonly base?: number
      /** Whether the sender holds that base. */
      readonly shared: boolean
      readonly zipBytes: number
      readonly newBytes: number
      readonly newPackedBytes: number
    }
  /** The files follow. */
  | { readonly status: 'files' }
  | { readonly status: 'absent' }
  | { readonly status: 'busy'; readonly retryMs: number }
  | { readonly status: 'unsupported' }

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const hash = v.pipe(v.instance(Uint8Array), v.length(32))
const bytes = (max: number) => v.pipe(v.instance(Uint8Array), v.maxLength(max))
const baseNumber = v.pipe(count, v.maxValue(deltaLimits.bases - 1))

const ask: v.GenericSchema<unknown, DeltaAsk> = v.variant('kind', [
  v.object({
    kind: v.literal('zip'),
    zipHash: hash,
    bases: v.pipe(
      v.array(v.object({ zipHash: hash, sketch: v.exactOptional(bytes(deltaLimits.sketchBytes)) })),
      v.maxLength(deltaLimits.bases),
    ),
    hasManifest: v.boolean(),
  }),
  v.object({
    kind: v.literal('files'),
    form: v.picklist(['P', 'S', 'F']),
    base: v.exactOptional(baseNumber),
    files: bytes(deltaLimits.messageBytes),
  }),
])

const answer: v.GenericSchema<unknown, DeltaAnswer> = v.variant('status', [
  v.object({
    status: v.literal('whole'),
    length: v.pipe(count, v.maxValue(maxZipBytes)),
  }),
  v.object({
    status: v.literal('manifest'),
    length: v.pipe(count, v.maxValue(deltaLimits.manifestBytes)),
    base: v.exactOptional(baseNumber),
    shared: v.boolean(),
    zipBytes: count,
    newBytes: count,
    newPackedBytes: count,
  }),
  v.object({ status: v.literal('files') }),
  v.object({ status: v.literal('absent') }),
  v.object({ status: v.literal('busy'), retryMs: count }),
  v.object({ status: v.literal('unsupported') }),
])

export function encodeDelta(value: DeltaAsk | DeltaAnswer): Uint8Array {
  return encode(value, { ignoreUndefinedProperties: true })
}

/** Reads a question; undefined is one of a later version. Throws ProtocolError. */
export function decodeDeltaAsk(frame: Uint8Array): DeltaAsk | undefined {
  const item = decodeItem(frame)
  const parsed = v.safeParse(ask, item)
  if (parsed.success) return parsed.output
  const other = v.safeParse(v.object({ kind: v.string() }), item)
  if (other.success && other.output.kind !== 'zip' && other.output.kind !== 'files')
    return undefined
  throw new ProtocolError('not a question of the delta protocol')
}

/** Reads an answer. Throws ProtocolError. */
export function decodeDeltaAnswer(frame: Uint8Array): DeltaAnswer {
  const parsed = v.safeParse(answer, decodeItem(frame))
  if (!parsed.success) throw new ProtocolError('not an answer of the delta protocol')
  return parsed.output
}

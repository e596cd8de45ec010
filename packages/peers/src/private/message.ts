import * as v from 'valibot'
import { controlLimits as limits } from '../control/limits.ts'
import { maxSignedBytes } from '../membership/limits.ts'

/** Hands over the secret under which private modules are announced; to members that may have those alone. */
export interface PrivateSecret {
  readonly kind: 'private-secret'
  readonly record: Uint8Array
}

/** Asks for a private module version, or for the versions of a path; members that may have those alone. */
export interface PrivateQuery {
  readonly kind: 'private-query'
  readonly id: number
  readonly path: string
  readonly version?: string
}

/** What is known; nothing for who may not know. */
export interface PrivateAnswer {
  readonly kind: 'private-answer'
  readonly re: number
  readonly holdsZip?: boolean
  readonly info?: Uint8Array
  readonly mod?: Uint8Array
  /** Signed by a publisher. */
  readonly statement?: Uint8Array
  /** One version per line. */
  readonly versions?: string
}

type Words = PrivateSecret | PrivateQuery | PrivateAnswer

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const text = (max: number) => v.pipe(v.string(), v.maxLength(max))
const bytes = (max: number) => v.pipe(v.instance(Uint8Array), v.maxLength(max))

/** Schemas by kind. */
export const privateSchemas: {
  readonly [K in Words['kind']]: v.GenericSchema<unknown, Extract<Words, { readonly kind: K }>>
} = {
  'private-secret': v.object({ kind: v.literal('private-secret'), record: bytes(maxSignedBytes) }),
  'private-query': v.object({
    kind: v.literal('private-query'),
    id: count,
    path: text(limits.moduleTextLength),
    version: v.exactOptional(text(limits.moduleTextLength)),
  }),
  'private-answer': v.object({
    kind: v.literal('private-answer'),
    re: count,
    holdsZip: v.exactOptional(v.boolean()),
    info: v.exactOptional(bytes(limits.infoBytes)),
    mod: v.exactOptional(bytes(limits.modBytes)),
    statement: v.exactOptional(bytes(maxSignedBytes)),
    versions: v.exactOptional(text(limits.versionsBytes)),
  }),
}

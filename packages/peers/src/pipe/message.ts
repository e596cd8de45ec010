import { encode } from 'cborg'
import * as v from 'valibot'
import { decodeItem } from '../control/frame.ts'
import { ProtocolError } from '../errors.ts'
import type { PipeSecret } from './pipe-tls.ts'

/** The name at multistream-select of the stream that opens a pipe, and lives as long as it. */
export const pipeProtocol = '/modmesh/pipe/1'

/** What the asker says first: `dial` when it dialled the connection, else the secret to dial it with. */
export type PipeOffer = { readonly kind: 'dial' } | ({ readonly kind: 'come' } & PipeSecret)

const secret = {
  name: v.pipe(v.instance(Uint8Array), v.length(16)),
  key: v.pipe(v.instance(Uint8Array), v.length(32)),
}
const offer: v.GenericSchema<unknown, PipeOffer> = v.variant('kind', [
  v.object({ kind: v.literal('dial') }),
  v.object({ kind: v.literal('come'), ...secret }),
])
const answer: v.GenericSchema<unknown, PipeSecret> = v.object(secret)

export function encodePipeOffer(value: PipeOffer): Uint8Array {
  return encode(value)
}

/** Throws ProtocolError. */
export function decodePipeOffer(bytes: Uint8Array): PipeOffer {
  return checked(offer, bytes)
}

export function encodePipeSecret({ name, key }: PipeSecret): Uint8Array {
  return encode({ name, key })
}

/** Throws ProtocolError. */
export function decodePipeSecret(bytes: Uint8Array): PipeSecret {
  return checked(answer, bytes)
}

function checked<T>(schema: v.GenericSchema<unknown, T>, bytes: Uint8Array): T {
  const parsed = v.safeParse(schema, decodeItem(bytes))
  if (!parsed.success) throw new ProtocolError('not a message about a pipe')
  return parsed.output
}

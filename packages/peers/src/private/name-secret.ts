import { isEqual, sha256 } from '../membership/bytes.ts'
import { newSeed } from '../membership/ed25519.ts'
import { mayHavePrivate } from '../membership/roles.ts'
import { keyings } from '../membership/statement.ts'
import { StatementRefusedError } from './errors.ts'
import type { Signer } from './publication.ts'
import { checkSigned, formatSigned, parseSigned, type RecordView } from './signed-record.ts'

/** A secret under which private modules are announced, and what it is good for. */
export interface NameSecret {
  readonly secret: Uint8Array
  /** Signed, as it is handed over. */
  readonly record: Uint8Array
  /** Of several that are good everybody takes the first. */
  readonly order: Uint8Array
}

/** Makes a secret that is good until another member goes. */
export function makeSecret(signer: Signer, endings: Uint8Array, atMs: number): NameSecret {
  const { mesh, peer, chain, seed } = signer
  const secret = newSeed()
  const body = { v: 1, mesh, peer, endings, secret, at: Math.trunc(atMs) } as const
  const signed = keyings.sign(body, seed)
  return { secret, record: formatSigned({ signed, by: chain }), order: sha256(signed.body) }
}

/**
 * Checks a secret: a member that may have private modules made it, and nobody has gone since. Throws
 * StatementRefusedError, NotAMemberError.
 */
export function checkSecret(
  record: Uint8Array,
  endings: Uint8Array,
  against: Omit<RecordView, 'may'>,
): NameSecret {
  const read = parseSigned(record)
  const { body, clean } = checkSigned(keyings, read, { ...against, may: mayHavePrivate })
  if (!isEqual(body.endings, endings)) {
    throw new StatementRefusedError('outdated', 'the secret is of before or after somebody went')
  }
  return { secret: body.secret, record: clean, order: sha256(read.signed.body) }
}

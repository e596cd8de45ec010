import * as v from 'valibot'
import { decodeFields, encodeFields, exactBytes, someBytes } from '../membership/canonical-cbor.ts'
import type { SignedBody } from '../membership/certificate.ts'
import { parseChain } from '../membership/chain.ts'
import { signatureBytes } from '../membership/ed25519.ts'
import { judge, judgeSigner } from '../membership/judge.ts'
import { clockSkewMs, maxBodyBytes, maxChainBytes, maxSignedBytes } from '../membership/limits.ts'
import type { MeshView } from '../membership/mesh-view.ts'
import { isSignedByPeer, lastOf, type Proof, proveChain } from '../membership/proof.ts'
import type { Statement } from '../membership/statement.ts'
import { StatementRefusedError } from './errors.ts'

/** A signed body with the chain of who signed it: whoever knows the mesh can check it alone. */
export interface SignedRecord {
  readonly signed: SignedBody
  readonly by: Uint8Array
}

/** What every statement about private modules says, beside its own. */
interface Claim {
  readonly mesh: Uint8Array
  readonly peer: Uint8Array
  readonly at: number
}

/** Against what a record is held. */
export interface RecordView {
  readonly view: MeshView
  readonly nowMs: number
  /** A chain of that peer that we know: it may prove more than the one that was shown. */
  readonly chainOf: (peer: Uint8Array) => Uint8Array | undefined
  /** Whether somebody with these roles may say such a thing. */
  readonly may: (roles: readonly string[]) => boolean
}

const recordSchema = v.looseObject({
  v: v.literal(1),
  body: someBytes(maxBodyBytes),
  signature: exactBytes(signatureBytes),
  by: someBytes(maxChainBytes),
})

/** Writes a record. */
export function formatSigned({ signed, by }: SignedRecord): Uint8Array {
  return encodeFields({ v: 1, ...signed, by })
}

/** Reads a record; nothing of it is checked. Throws StatementRefusedError. */
export function parseSigned(bytes: Uint8Array): SignedRecord {
  try {
    if (bytes.byteLength > maxSignedBytes) throw new RangeError('too large')
    const { body, signature, by } = v.parse(recordSchema, decodeFields(bytes))
    return { signed: { body, signature }, by }
  } catch (cause) {
    throw new StatementRefusedError('malformed', 'the statement cannot be read', { cause })
  }
}

/**
 * Checks who signed a record, and that he might when he did: a member with the role, not revoked since, and
 * one that nobody counter-signed is one still. `clean` is the record as it may be passed on: what its
 * signature does not cover is ours. Throws StatementRefusedError, NotAMemberError.
 */
export function checkSigned<T extends Claim>(
  kind: Statement<T>,
  record: SignedRecord,
  against: RecordView,
): { readonly body: T; readonly proof: Proof; readonly clean: Uint8Array } {
  const body = parseBody(kind, record.signed)
  const root = against.view.roots[0]
  if (root === undefined || Buffer.compare(body.mesh, root) !== 0) {
    throw new StatementRefusedError('other-mesh', 'the statement was made in another mesh')
  }
  if (body.at > against.nowMs + clockSkewMs) {
    throw new StatementRefusedError('from-the-future', 'the statement is dated in the future')
  }
  const { proof, by } = checkSigner(kind, record, body, against)
  return { body, proof, clean: formatSigned({ signed: record.signed, by }) }
}

function parseBody<T>(kind: Statement<T>, { body }: SignedBody): T {
  try {
    return kind.parse(body)
  } catch (cause) {
    throw new StatementRefusedError('malformed', 'the statement cannot be read', { cause })
  }
}

function checkSigner<T extends Claim>(
  kind: Statement<T>,
  { signed, by }: SignedRecord,
  body: T,
  against: RecordView,
): { readonly proof: Proof; readonly by: Uint8Array } {
  if (!isSignedByPeer(kind, signed, body.peer)) {
    throw new StatementRefusedError('bad-signature', 'the statement is not signed by who it names')
  }
  try {
    return { proof: judgeChain(by, body, against), by }
  } catch (error) {
    // Who was counter-signed after it spoke, or had its membership renewed, may have a better one by now.
    const known = against.chainOf(body.peer)
    if (known === undefined) throw error
    return { proof: judgeChain(known, body, against), by: known }
  }
}

function judgeChain(
  chain: Uint8Array,
  { peer, at }: Claim,
  { view, nowMs, may }: RecordView,
): Proof {
  const proof = proveChain(parseChain(chain), view.roots)
  if (Buffer.compare(lastOf(proof.peers), peer) !== 0) {
    throw new StatementRefusedError(
      'bad-signature',
      'the statement comes with another’s membership',
    )
  }
  judgeSigner(proof, view, at)
  // Nobody saw when it spoke: its own word must not outlive its membership.
  if (proof.admission === undefined) judge(proof, view, nowMs)
  if (!may(proof.roles)) {
    throw new StatementRefusedError('no-role', `${proof.claim.name} has not the role for it`)
  }
  return proof
}

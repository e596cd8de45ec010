import type { Published } from '@modmesh/fill'
import {
  formatModuleVersion,
  type ModHash,
  type ModuleVersion,
  parseModHash,
  parseZipHash,
  type ZipHash,
  zipHashBytes,
  zipHashFromBytes,
} from '@modmesh/module'
import { isEqual } from '../membership/bytes.ts'
import { peerText } from '../membership/peer-text.ts'
import { mayPublish } from '../membership/roles.ts'
import { publications } from '../membership/statement.ts'
import { StatementRefusedError } from './errors.ts'
import { checkSigned, formatSigned, parseSigned, type RecordView } from './signed-record.ts'

/** What a publisher is about to sign. */
export interface Publishing {
  readonly module: ModuleVersion
  readonly zip: ZipHash
  readonly mod: ModHash
}

/** Who signs. */
export interface Signer {
  /** The first root key of the mesh. */
  readonly mesh: Uint8Array
  readonly peer: Uint8Array
  readonly name: string
  readonly chain: Uint8Array
  readonly seed: Uint8Array
}

/** Signs what a private module version is. Throws RangeError for names that no statement has room for. */
export function signPublication(what: Publishing, signer: Signer, atMs: number): Published {
  const { zip, mod, module } = what
  const { mesh, peer, chain, seed, name } = signer
  const hashes = { zip: zipHashBytes(zip), mod: zipHashBytes(parseZipHash(mod)) }
  const at = Math.trunc(atMs)
  const body = { v: 1, mesh, peer, ...module, ...hashes, at } as const
  const statement = formatSigned({ signed: publications.sign(body, seed), by: chain })
  return { zip, mod, publisher: { peer: peerText(peer), name, atMs: at }, statement }
}

/** Whether a statement names a mesh by its first root key; nothing of it is checked. */
export function isMadeIn(root: Uint8Array, statement: Uint8Array): boolean {
  try {
    const { signed } = parseSigned(statement)
    return isEqual(publications.parse(signed.body).mesh, root)
  } catch {
    return false // whatever it is, it is none
  }
}

/**
 * Checks a statement that says what a version is. Throws StatementRefusedError, NotAMemberError: it does
 * not count, whoever brought it.
 */
export function checkPublication(
  bytes: Uint8Array,
  module: ModuleVersion,
  against: Omit<RecordView, 'may'>,
): Published {
  const record = parseSigned(bytes)
  const rule = { ...against, may: mayPublish }
  const { body, proof, clean: statement } = checkSigned(publications, record, rule)
  if (body.path !== module.path || body.version !== module.version) {
    const name = formatModuleVersion(module)
    throw new StatementRefusedError('other-module', `the statement is not about ${name}`)
  }
  const { peer, at: atMs } = body
  return {
    zip: zipHashFromBytes(body.zip),
    mod: parseModHash(zipHashFromBytes(body.mod)),
    publisher: { peer: peerText(peer), name: proof.claim.name, atMs },
    statement,
  }
}

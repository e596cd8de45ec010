import {
  formatVersionInfo,
  hashMod,
  InvalidFileError,
  isPseudoVersion,
  type ModuleVersion,
  maxModBytes,
  parseVersionInfo,
  pseudoVersionTime,
} from '@modmesh/module'
import type { ProvenSums } from './checksum-db.ts'
import { RemoteError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import type { ModuleRecord } from './peers.ts'
import type { StoredRecord } from './zip-store.ts'

/** What of a peer's record may be believed. */
export interface VerifiedParts {
  readonly mod?: Uint8Array
  readonly info?: Uint8Array
}

/** Checks every part of a peer's record, keeps what verifies, and blames the peer for the rest. */
export function keepVerified(
  ctx: FillContext,
  module: ModuleVersion,
  record: ModuleRecord,
  sums: ProvenSums,
): VerifiedParts {
  const faults = [modFault(record.mod, sums), infoFault(record.info, module)]
  const lie = faults.find((fault) => fault !== undefined)
  if (lie !== undefined) ctx.blame(record.peer, module, lie)
  const { info, mod } = record
  const keptMod = mod !== undefined && faults[0] === undefined && sums.mod !== undefined
  const keptInfo = info !== undefined && faults[1] === undefined
  const kept: StoredRecord = {
    module,
    ...(keptMod && { mod: { bytes: mod, hash: sums.mod, proof: sums.proof } }),
    ...(keptInfo && { info: { bytes: info, from: 'peer' as const } }),
  }
  if (keptMod || keptInfo) ctx.held.keepRecord(kept)
  return { ...(keptMod && { mod }), ...(keptInfo && { info }) }
}

/** Keeps the parts that verify of several answers; stops at what is complete. */
export function keepAllVerified(
  ctx: FillContext,
  module: ModuleVersion,
  records: readonly ModuleRecord[],
  sums: ProvenSums,
): void {
  for (const record of records) {
    const { mod, info } = keepVerified(ctx, module, record, sums)
    if (mod !== undefined && info !== undefined) return
  }
}

/** Checks one part that a remote store sent, and keeps it. Throws RemoteError (wrong). */
export function keepFromRemote(
  ctx: FillContext,
  module: ModuleVersion,
  part: keyof VerifiedParts,
  bytes: Uint8Array,
  sums: ProvenSums,
): void {
  const { mod: hash, proof } = sums
  const fault = part === 'mod' ? modFault(bytes, sums) : infoFault(bytes, module)
  if (fault !== undefined) throw new RemoteError(fault, { fault: 'wrong' })
  if (part === 'info') ctx.held.keepRecord({ module, info: { bytes, from: 'peer' } })
  else if (hash !== undefined) ctx.held.keepRecord({ module, mod: { bytes, hash, proof } })
}

/** Why bytes are not the `.info` of a module version, or undefined. */
export function findInfoFault(bytes: Uint8Array, module: ModuleVersion): string | undefined {
  try {
    const { version } = parseVersionInfo(bytes)
    return version === module.version ? undefined : `version ${version}`
  } catch (error) {
    if (error instanceof InvalidFileError) return error.message
    throw error
  }
}

function modFault(bytes: Uint8Array | undefined, sums: ProvenSums): string | undefined {
  if (bytes === undefined || sums.mod === undefined) return undefined
  if (bytes.length > maxModBytes) return 'sent a go.mod beyond the size limit'
  const seen = hashMod(bytes)
  return seen === sums.mod ? undefined : `sent a go.mod: expected ${sums.mod}, got ${seen}`
}

/** Why the `.info` of somebody whose word is nothing cannot be taken, or undefined: name and time must agree with the version. */
export function findStrangersInfoFault(
  bytes: Uint8Array,
  module: ModuleVersion,
): string | undefined {
  const fault = findInfoFault(bytes, module)
  if (fault !== undefined) return fault
  if (!isPseudoVersion(module.version)) return undefined
  const { time } = parseVersionInfo(bytes)
  const due = pseudoVersionTime(module.version)
  return time === due ? undefined : `time ${time}, expected ${due}`
}

/**
 * The `.info` as it is given to strangers. Some proxies tell of a pseudo-version when they first saw it: nobody would
 * take that from us, so it gets the time that the version names.
 */
export function infoForStrangers(bytes: Uint8Array, module: ModuleVersion): Uint8Array {
  const { version } = module
  if (!isPseudoVersion(version) || findInfoFault(bytes, module) !== undefined) return bytes
  if (findStrangersInfoFault(bytes, module) === undefined) return bytes
  return formatVersionInfo({ version, time: pseudoVersionTime(version) })
}

function infoFault(bytes: Uint8Array | undefined, module: ModuleVersion): string | undefined {
  const fault = bytes && findStrangersInfoFault(bytes, module)
  return fault && `sent a wrong .info: ${fault}`
}

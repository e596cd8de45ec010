import type { BundleFault } from '@modmesh/store'
import { type ExitCode, exitCodes } from '../exit-codes.ts'

const exits: Readonly<Record<BundleFault, ExitCode>> = {
  BUNDLE_FORMAT: exitCodes.failed,
  BUNDLE_TRUNCATED: exitCodes.hashMismatch,
  BUNDLE_ALTERED: exitCodes.hashMismatch,
  // All is as it was signed: somebody has to say whether that counts here.
  BUNDLE_UNKNOWN_SIGNER: exitCodes.failed,
  BUNDLE_REPLAYED: exitCodes.failed,
  BUNDLE_BASE_MISSING: exitCodes.failed,
  BUNDLE_OTHER_DATABASE: exitCodes.wrongUsage,
  BUNDLE_UNPROVEN: exitCodes.hashMismatch,
  BUNDLE_FORK: exitCodes.hashMismatch,
}

/** Finds with which code a command ends that had to refuse a bundle (design, section 7). */
export function exitOfFault(fault: BundleFault): ExitCode {
  return exits[fault]
}

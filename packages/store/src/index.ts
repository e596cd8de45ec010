/**
 * The disk: staged zips, commits by named steps, a journal of small records, the checksum
 * database's cache. Invariant: what is found here is what was verified when it came in, or it is
 * not found; files are the truth and the level index can be thrown away at any time.
 * Follows design sections 5 ("One reading") and 7 ("Disk").
 */

export type { AdoptedZip } from './adopted-zip.ts'

export { BundleReader, frontBytes } from './bundle/bundle-reader.ts'
export {
  BundleContents,
  type BundleTree,
  type BundleWish,
  type MissingPart,
} from './bundle/collect.ts'
export { BundleError, type BundleFault, BundleSourceError } from './bundle/faults.ts'
export { importBundle } from './bundle/import-bundle.ts'
export { ImportReport, type PartCount, type PartKind } from './bundle/import-report.ts'
export type { ImportDatabase } from './bundle/import-tree.ts'
export { type BundleItem, bytesOf, formatInventory, type Inventory } from './bundle/inventory.ts'
export { bundleId } from './bundle/seal.ts'
export { writeBundle } from './bundle/write-bundle.ts'
export { writeTree } from './bundle/write-tree.ts'

export type { Disk, DiskFile, FileIdentity } from './disk.ts'
export { nodeDisk } from './disk.ts'
export {
  DiskStore,
  type ListedZip,
  type StoreBudget,
  type StoreStats,
  type VerifyOutcome,
} from './disk-store.ts'
export { DurableFile } from './durable-file.ts'
export {
  InvalidPinError,
  StoreAccessError,
  StoreDamagedError,
  StoreLockedError,
  StoreWriteError,
} from './errors.ts'
export { scrubBytesPerSecond } from './limits.ts'
export type { StoreInit } from './open-store.ts'
export { type Pin, parsePin, pinCovers } from './pins.ts'
export type { ScrubInit } from './scrub.ts'
export type { Shrunk } from './size-budget.ts'
export type { ReportEvent, StoreEvent } from './store-event.ts'
export type { SumdbCache } from './sumdb-cache.ts'
export { type CommitHooks, type CommitStep, commitSteps } from './zip-commit.ts'
export type { ZipRecord } from './zip-record.ts'
export type { RemovalReason } from './zip-vault.ts'
export { type VerifiedZip, type VerifyOptions, verifyZipFile } from './zip-verify.ts'

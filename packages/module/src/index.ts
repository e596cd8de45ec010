/**
 * The words of a Go module: path, version, hashes, zip rules, go.mod and go.sum.
 * Pure: text and bytes in, values that cannot be wrong out, or an error that says why.
 * Follows golang.org/ref/mod and golang.org/x/mod (module, semver, sumdb/dirhash, zip).
 */
export { compareBytes } from './byte-order.ts'
export { foldCase } from './case-fold.ts'
export { contentId, nameKey, privateNameKey } from './content-id.ts'
export {
  InvalidFileError,
  InvalidHashError,
  InvalidModulePathError,
  InvalidVersionError,
  ZipRulesError,
} from './errors.ts'
export {
  type GoMod,
  type GoModModule,
  isDirectoryPath,
  parseGoMod,
  type Replacement,
  type Requirement,
  type Retraction,
} from './go-mod.ts'
export { formatGoSum, type GoSumLine, parseGoSum } from './go-sum.ts'
export { isGoVersion, prunesGraph, tidiesWholeGraph } from './go-version.ts'
export { type GoWork, parseGoWork } from './go-work.ts'
export { decodeIndices, encodeIndices } from './index-set.ts'
export {
  maxInfoBytes,
  maxLicenseBytes,
  maxModBytes,
  maxSumBytes,
  maxZipBytes,
  maxZipEntries,
} from './limits.ts'
export {
  formatManifest,
  hash1,
  hashManifest,
  type ManifestLine,
  parseManifest,
} from './manifest.ts'
export {
  applyManifestDifference,
  type BaseLines,
  diffManifest,
  exactBase,
  type ManifestDifference,
  type PrefixedLines,
  sketchedBase,
  sketchManifest,
} from './manifest-difference.ts'
export { hashMod, type ModHash, parseModHash } from './mod-hash.ts'
export {
  checkImportPath,
  escapeModulePath,
  type ModulePath,
  parseModulePath,
  unescapeModulePath,
} from './module-path.ts'
export {
  compareModuleVersions,
  formatModuleVersion,
  type ModuleVersion,
  parseModuleVersion,
  parsePathAtVersion,
} from './module-version.ts'
export { matchesPathMajor, type SplitPath, splitPathMajor } from './path-major.ts'
export { isGlob, matchesPatterns, type Patterns, parsePatterns } from './patterns.ts'
export {
  formatPseudoVersion,
  isPseudoVersion,
  type PseudoVersion,
  parsePseudoVersion,
  pseudoVersionBase,
  pseudoVersionRev,
  pseudoVersionTime,
} from './pseudo-version.ts'
export { rfc3339Seconds } from './rfc3339.ts'
export { selectLatest } from './select-latest.ts'
export { buildOf, majorMinorOf, majorOf, parseSemver, prereleaseOf, type Semver } from './semver.ts'
export { VarintReader, VarintWriter } from './varints.ts'
export { parseVendorModules, type VendoredModule } from './vendor-modules.ts'
export {
  canonicalVersion,
  compareVersions,
  escapeVersion,
  isIncompatible,
  isPrerelease,
  parseVersion,
  unescapeVersion,
  type Version,
} from './version.ts'
export { formatVersionInfo, parseVersionInfo, type VersionInfo } from './version-info.ts'
export {
  parseZipDigest,
  parseZipHash,
  type ZipDigest,
  type ZipHash,
  zipHashBytes,
  zipHashFromBytes,
} from './zip-hash.ts'
export { checkZipEntries, type ZipEntry, zipPrefix } from './zip-rules.ts'

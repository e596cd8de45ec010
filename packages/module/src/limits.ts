/** x/mod zip.MaxZipFile: a larger zip is refused by `go`; also the limit of all uncompressed sizes together. */
export const maxZipBytes: number = 500 << 20
/** x/mod zip.MaxGoMod. */
export const maxModBytes: number = 16 << 20
/** x/mod zip.MaxLICENSE. */
export const maxLicenseBytes: number = 16 << 20
/** An .info is a few hundred bytes; more is somebody trying our memory. */
export const maxInfoBytes: number = 64 << 10
/** Entries in one zip: the largest real modules have some 20,000; each costs memory in our reader. */
export const maxZipEntries = 200_000
/** A go.sum handed to us: the largest known are below 1 MiB; some 100,000 lines fit. */
export const maxSumBytes: number = 16 << 20
/** A vendor/modules.txt: the largest known are below 1 MiB. */
export const maxVendorModulesBytes: number = 16 << 20
/** Names of one manifest all together, bytes: as many as the largest directory that we read of a zip (64 MiB) has. */
export const maxManifestNameBytes: number = 64 << 20

/** Bytes of a signed note, as in x/mod note.Open and tlog.ParseTree. */
export const maxNoteBytes = 1_000_000

/** Signatures of one note, as in x/mod note.Open: bounds the work a stranger's note can cause. */
export const maxNoteSignatures = 100

/** Bytes of one record text: real ones have two lines of at most a few hundred bytes. */
export const maxRecordBytes = 1_000_000

/** Records of a log: twice this is still an exact number. The real log had 7e7 in 2026. */
export const maxTreeSize: number = 2 ** 52

/** Hashes of an inclusion proof: one for each level of the largest tree. */
export const maxProofHashes = 52

/** Verified full tiles kept in memory: 512 of 8 KiB are 4 MiB. */
export const maxTilesInMemory = 512

/** Proven records kept in memory, about 2 KiB each: the module graph of one large project. */
export const maxRecordsInMemory = 2048

/** Signed heads kept in memory as already verified: peers and records share few. */
export const maxHeadsInMemory = 256

/** Tiles fetched at once in the background: leaves upstream free for what somebody waits for. */
export const tileFetchesAtOnce = 4

/** Attempts to store a head that others advance too, before giving up. */
export const maxHeadConflicts = 8

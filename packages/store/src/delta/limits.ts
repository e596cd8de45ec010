/** Level of zstd: 12 takes twice the time for 3 % fewer bytes, 3 gives 30 % more. */
export const zstdLevel = 9
/** Largest window of a frame, as a power of two: 16 MiB. The largest modules gain 10 % over 4 MiB, and both sides need that memory. */
export const maxFrameWindowLog = 24
/** Smallest window zstd knows. */
export const minWindowLog = 10
/** Files above this are never packed against an old one: both are in memory then, three times. Bytes. */
export const maxDictionaryBytes: number = 16 << 20
/** zstd takes no notice of a shorter dictionary. Bytes. */
export const minDictionaryBytes = 8
/** Window of a file that is packed against an old one: both together. */
export const maxDictionaryWindowLog = 25
/** Level of deflate for what is put into a zip: as upstream's zips have it, within 5 %; it is kept for years. */
export const deflateLevel = 6
/** Pieces that go to another thread, and into a compressor. Bytes. */
export const jobChunkBytes: number = 128 << 10
/** Chunks that wait on either side of a thread. */
export const jobChunksAhead = 4
/** Threads: one that packs and one that unpacks keep any link busy on which this is worth its time. */
export const maxDeltaWorkers = 2
/** Memory of all packing at once, bytes: it goes on as slowly as the links take it, and small zips must not wait for large ones. */
export const maxPackingBytes: number = 256 << 20
/** What a frame takes beside its window, as a multiple of it, up to the tables of the largest. */
export const frameTables = 4
export const maxFrameTableBytes: number = 24 << 20
/** What packing file by file takes, bytes: old and new file of the largest pairs are seldom over 2 MiB. */
export const patchPackingBytes: number = 24 << 20
/** What copying takes, bytes. */
export const copyPackingBytes: number = 2 << 20
/** Verified files that are told together. */
export const filesTogether = 64
/** Manifests kept in memory, bytes: of all modules of a large project those that are asked for again. */
export const manifestCacheBytes: number = 32 << 20
/** The script of one, unpacked: all names of a zip. Bytes. */
export const maxScriptBytes: number = 72 << 20
/** Lines above which no sketch is sent: it fills a message. */
export const maxSketchLines = 30_000
/** Versions offered as a base: the nearest one held is nearly always known to both. */
export const maxBases = 3
/** How long what came of a cut transfer waits for the rest, milliseconds: a long lunch of a WAN. */
export const keptRebuildMs = 1_800_000
/** What waits so, bytes of files: a large project's worth of one cut. */
export const keptRebuildBytes: number = 1 << 30
/** As above, zips. */
export const keptRebuilds = 512

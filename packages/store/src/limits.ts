/** Bytes of a central directory we read: 200,000 entries of 320 bytes, far beyond any real module. */
export const maxDirectoryBytes: number = 64 << 20
/** Entries up to this are inflated in one call, which costs less; larger ones in pieces, so that a bomb costs bounded memory. Bytes. */
export const oneShotEntryBytes: number = 1 << 20
/** The same where zips are verified: nearly all bytes of modules are in smaller entries, and the memory is given back at once. Bytes. */
export const verifiedAtOnceBytes: number = 8 << 20
/** Piece in which large entries are inflated: node takes new memory for each. Bytes. */
export const inflateChunkBytes: number = 64 << 10
/** Piece in which files are read, hashed and copied. Bytes. */
export const pieceBytes: number = 256 << 10
/** Part of a zip kept in memory while it is verified: one read serves many small entries. Bytes. */
export const readWindowBytes: number = 1 << 20
/** Zips whose entries hold less are verified on the main thread: a message to a worker costs more. Bytes. */
export const inlineVerifyBytes: number = 256 << 10
/** Verification is bound by memory bandwidth beyond this; each worker also costs some 10 MB. */
export const maxVerifyWorkers = 4
/** Young generation of a worker: entries die at once, and a large one only keeps their memory longer. */
export const workerYoungMegabytes = 6
/** Chunk of a read that is served: large enough for 500 MB/s, small enough for many readers. Bytes. */
export const serveChunkBytes: number = 256 << 10
/** Memory of readers at once above which further chunks are small: 64 readers at full speed. Bytes. */
export const maxLentBytes: number = 32 << 20
/** As serveChunkBytes when there are so many: slow readers hold theirs for as long as they like. Bytes. */
export const crowdedChunkBytes: number = 32 << 10
/** Chunks that wait to be used again: for as many readers as a few builds have. */
export const maxFreeChunks = 32
/** As above for small ones: two for each reader of a crowd. */
export const maxFreeSmallChunks = 256
/** Zips up to this are kept in memory when they are read again: most are far smaller. Bytes. */
export const hotZipBytes: number = 4 << 20
/** Memory for zips that are read again and again, in all. Bytes. */
export const hotZipsBytes: number = 48 << 20
/** Zips of which is known how often they are read: a large project's worth. */
export const maxCountedZips = 4096
/** A zip that was not hashed for this long is hashed again while it is served. Milliseconds. */
export const rehashAfterMs: number = 24 * 3_600_000
/** A read that nobody iterates is closed, so that it cannot hold a file for ever. Milliseconds. */
export const idleReadMs = 60_000
/** A journal segment is closed at this size, so that compaction and start work on bounded pieces. Bytes. */
export const maxSegmentBytes: number = 64 << 20
/** Bytes that share one write and fsync of the journal: bounds memory when the disk is slow. */
export const maxGroupBytes: number = 4 << 20
/** Payload of one journal frame: the largest thing kept there is a go.mod (16 MiB). Bytes. */
export const maxFrameBytes: number = (16 << 20) + (1 << 16)
/** Journal records kept in memory: .mod and .info are the hot path. Bytes. */
export const recordCacheBytes: number = 32 << 20
/** Below this a journal is not worth compacting. Bytes. */
export const minCompactBytes: number = 4 << 20
/** A list or the like that is kept over a restart: the longest real list has some 40 KB. Bytes. */
export const maxAnswerBytes: number = 256 << 10
/** Of them in one of 256 folders: 51,200 in all, more paths than anybody builds with. */
export const maxAnswersPerFolder = 200
/** Answers that wait to be written; beyond that a slow disk keeps fewer of them. */
export const maxWaitingAnswers = 4_096
/** Space kept for a start on a full disk: three small databases and a pid file are written then. Bytes. */
export const reserveBytes: number = 1 << 20
/** A file that is written to see whether that works: what an empty database takes, generously. Bytes. */
export const probeBytes: number = 64 << 10
/** As above where zips are written: most are smaller. Bytes. */
export const zipProbeBytes: number = 1 << 20
/** Files kept in quarantine for somebody to look at. */
export const maxQuarantined = 32
/** Files of fork evidence kept per database: somebody who forks again and again must not fill the disk. */
export const maxForkEvidence = 100
/** Refused answers kept per database: enough to see what is wrong, whoever asks again and again. */
export const maxRefusedAnswers = 100
/** Kept of one refused answer: a tile is 8 KiB, a lookup answer 1 KiB. Bytes. */
export const maxRefusedBytes: number = 64 << 10
/** The sidecar record of a zip. Bytes. */
export const maxRecordBytes: number = 64 << 10
/** Deaths of a process before its index is thrown away: a damaged one can abort the process each time. */
export const maxIndexDeaths = 2
/** An index that lived this long is taken to be sound. Milliseconds. */
export const indexProbationMs = 10_000
/** Between attempts to make an index that could not be written: a disk that was full may have room. Milliseconds. */
export const indexRetryMs = 60_000
/** Values in one write of a whole index: bounds memory, and how long other work waits. */
export const maxIndexBatch = 1_000
/** Small files read or directories listed at once at start; Node has 4 disk threads. */
export const startConcurrency = 32
/** Zips that share the folder syncs of one commit: bounds what a failing disk takes along. */
export const maxCommitGroup = 64
/** Syncs of a commit at a time: of Node's 4 disk threads two stay free for what somebody waits for. */
export const commitConcurrency = 2
/** Eviction goes down to this share of the size, so that it looks for victims once per five percent. */
export const evictShare = 0.95
/** Between a commit and the eviction it may cause: one look for many commits. Milliseconds. */
export const evictSpreadMs = 200
/** Between looks for what may go by now, while a store is larger than its size. Milliseconds. */
export const evictRetryMs = 1_000
/** What was handed out or committed within this is not evicted: somebody is about to read it. Milliseconds. */
export const evictGraceMs = 60_000
/** Between writes of the times of use: what a crash may forget of them. Milliseconds. */
export const useFlushMs = 60_000
/** Pins of one store: a person writes some, a script pins a go.sum. */
export const maxPins = 100_000
/** Before the first zip is hashed again: a start has better things to do. Milliseconds. */
export const scrubStartMs = 60_000
/** Between looks for zips that are due to be hashed. Milliseconds. */
export const scrubIdleMs = 600_000
/** Pace of hashing in the background: some percent of a core and of a disk. Bytes per second. */
export const scrubBytesPerSecond: number = 16 << 20
/** Times of files are those of the last tick of the system's clock, which comes at least this often, generously. Milliseconds. */
export const clockTickMs = 50
/** The inventory of a bundle: 60,000 module versions with all their parts. Bytes. */
export const maxInventoryBytes: number = 64 << 20
/** Upper and edge tiles of a bundle, kept in memory while it comes in: those of a log of 4e8 records. Bytes. */
export const maxFrameTileBytes: number = 64 << 20
/** Zips of a bundle that are verified and committed at once: their folder syncs are shared. */
export const bundleZipsAtOnce = 4
/** Tiles of a bundle that are read at once: those that are not kept yet come from the database. */
export const bundleTilesAtOnce = 16
/** Small parts of a bundle that become durable together, or are read at once. */
export const bundlePartsAtOnce = 64
/** Refusals that an import lists: one wrong key refuses everything. */
export const maxListedRefusals = 1_000

/** Versions named by peers alone that one offline list verifies: the newest; a list is read by people. */
export const maxUnknownVersions = 64

/** Verifications at a time: each may ask every connected peer. */
export const maxParallelProofs = 8

/** Module records of one search that are looked at: a mesh of this many connected peers answers at once. */
export const maxRecordsPerSearch = 64

/** Versions of one path that are looked at of one peer: the longest real lists have some 3,000. */
export const maxVersionsPerPeer = 5_000

/** Peers whose version lists are read for one answer. */
export const maxVersionAnswers = 64

/** Lists, `@latest` and the like kept in memory: as many paths as a large organisation builds with. */
export const maxHotAnswers = 20_000

/** Bytes of them, what the entries cost included: 300,000 versions are 4 MiB. */
export const maxHotBytes: number = 32 << 20

/** Versions' .mod and .info kept in memory: a large build loads some 5,000 go.mod files. */
export const maxHotParts = 50_000

/** Bytes of them, what the entries cost included. */
export const maxHotPartBytes: number = 32 << 20

/** Names that nobody has, kept in memory: `go get` probes some ten paths per module. */
export const maxNegativeAnswers = 20_000

/** Bytes of their texts, what the entries cost included. */
export const maxNegativeBytes: number = 8 << 20

/** How many times longer than a list a commit's answer is fresh: what it is changes only when it gets a tag. */
export const commitTtls = 60

/** Up to this many times its life, an older answer is given when upstream does not answer quickly. */
export const graceTtls = 10

/** How long upstream may take to renew a young answer before the older one is given, ms: near ones take less. */
export const quickRefreshMs = 150

/** The same for an old one, ms: as long as a connection may take. */
export const slowRefreshMs = 5_000

/** For how long a failed upstream is not asked the same again, ms: it must be seen at once when it is back. */
export const retryDeadMs = 250

/** An answer that did not change is written to disk again after this, ms: its age there may be so much too high. */
export const keepAnswerAgainMs = 600_000

/** An upstream list beyond this is no list: 4 MiB are some 300,000 versions. */
export const maxListBytes: number = 4 << 20

/** Paths remembered for reading ahead: a large build loads some 5,000 go.mod files. */
export const maxAheadPaths = 10_000

/** Zips that are being brought ahead at once: enough to keep a few processors busy with checking them. */
export const aheadAtOnce = 4

/** Zips brought ahead and not asked for yet: those that `go` asks for in its second round are among them. */
export const aheadZips = 256

/** Bytes of them: a project of that many zips has some 300 MB. */
export const aheadBytes: number = 256 << 20

/** How far ahead is looked, in go.mod files asked for: about every second one is of a module whose zip is needed. */
export const aheadStep = 64

/** How far behind the last one a zip of the same row may be: `go` asks for several at once. */
export const maxBackStep = 16

/** Zips in a row, in order, before any is brought ahead: by chance three are not. */
export const aheadAfterSteps = 3

/** Zips of other sites that are asked for ahead at once: with some 100 kB each they fill 20 Mbit/s at 80 ms several times over. */
export const farAheadAtOnce = 12

/** When `go` has asked for no zip for so long, nothing more is asked for ahead, ms: it is gone, or works on the largest. */
export const farAheadRestMs = 10_000

/** A row of requests ends with a rest of so long, ms. */
export const readAheadRestMs = 30_000

/** Peers that one fill fetches from at a time while an upstream can still join. */
export const maxHedgedPeers = 2

/** The same with nobody but peers left: a row of stalling peers must not cost a stall each. */
export const maxHedgedPeersAlone = 4

/** How long "nobody in the mesh has it" is believed: one burst of a `go` command, ms. */
export const meshNegativeTtlMs = 1_000

/** Module versions of which the mesh just knew nothing: what a build asks for in that time. */
export const maxStrangers = 4_096

/** Less than this within `stallMs` is no progress: a peer that trickles bytes must not hold a request. */
export const minProgressBytes: number = 16 << 10

/** From then on a body must keep `slowBytesPerMs`, or others join; shorter ones are not worth judging, ms. */
export const slowAfterMs = 10_000

/** 64 kB/s: far below any link a site would share modules over, bytes per ms. */
export const slowBytesPerMs = 64

/** Holders whose round trips differ by less are equally good, ms. */
export const equalRttMs = 2

/** Holders whose speeds differ by less than this factor are equally good. */
export const equalPace = 2

/** Searches in a row in which no peer knew anything, after which peers have no head start any more. */
export const fruitlessSearches = 8

/** From then on one search in so many is sent at once, the others only when upstream is late. */
export const trialSearches = 16

/** Objects of a remote store of which it is remembered that they are there, or wrong: 100 bytes each. */
export const maxKnownObjects: number = 1 << 16

/** Wrong objects in a row, after which a remote store is not asked for a while. */
export const remoteLies = 3

/** How long it is not asked then, ms: it costs no fill more than that often. */
export const remoteAvoidMs = 60_000

/** Module versions that wait to be written to a remote store: a cold build of any size seen so far. */
export const maxWaitingWrites = 8_192

/** Module versions being written at a time: uploads must leave the link to builds. */
export const maxParallelWrites = 4

/** Longest write of one object, ms: a zip of the largest size at 1 MB/s. */
export const remoteWriteMs = 600_000

/** How long what still waits to be written may hold up the end of the process, ms. */
export const remoteDrainMs = 900

/** Zips that are answered before they are durable: each holds an open file. More wait for the disk. */
export const maxUnwrittenZips = 256

/** How long an owner that failed is not asked at first, ms: then a hung one shows by its silence on the link. */
export const ownerRestMs = 2_000

/** The longest such rest, ms: upstream may be well again where it was not. */
export const ownerRestMaxMs = 60_000

/** How long one question that tries it keeps the others from it, ms: longer than a silence that is given up. */
export const ownerTrialMs = 3_000

/** Zips up to this travel in an owner's answer, bytes: half of all; a body stream costs more than they do. */
export const maxInlineZipBytes: number = 64 << 10

/** A zip of which an owner has received so much is streamed from it: below, its answer is as quick. Bytes. */
export const minComingBytes: number = 1 << 20

/** One part of a zip that is on its way, bytes: some tenths of a second on a LAN. */
export const maxPartBytes: number = 8 << 20

/** In pieces of so many, read one at a time. */
export const partPieceBytes: number = 256 << 10

/** How long more bytes are waited for before an empty part is given, ms. */
export const partWaitMs = 500

/** How often is looked for more, ms. */
export const partPollMs = 25

/** Bodies of which it is remembered that they came whole, for those who are still streaming them. */
export const maxWholeBodies = 256

/** How often is looked for a sign of life of an owner, ms: the more often, the better a busy host shows in it. */
export const silenceStepMs = 100

/** So much of a zip that was cut is worth waiting for one more holder, or for the same one again, bytes. */
export const minCutBytes: number = 1 << 20

/** go.mod files of a project that are read at a time: each is one question to a peer or to upstream. */
export const maxParallelMods = 48

/** Round trips of the nearest other site that peers' answers about a module version may take (design, section 6). */
export const headStartRtts = 3

/** Zips that one node fetches from other sites at a time: enough to fill 20 Mbit/s at 80 ms with small ones. */
export const maxFarZips = 8

/** A measurement older than this says nothing about a link any more, ms. */
export const staleRouteMs = 600_000

/** So many bytes, or so many ms of one link's work, make a measurement. */
export const sampleBytes: number = 256 << 10
export const sampleMs = 500

/** After so much work of a link all that was measured before counts half, ms. */
export const meterWindowMs = 10_000

/** Weight of the newest first byte among those before. */
export const sampleWeight = 0.3

/** The zip that links are compared by, bytes: most bytes of a build are in zips of at least this size. */
export const typicalZipBytes: number = 1 << 20

/** So many times quicker upstream must be than another site before it is asked first: it costs others, too. */
export const clearlyQuicker = 1.25

/** Links as quick as 100 Mbit/s are not worth a comparison, bytes per second. */
export const quickLink = 12_500_000

/** Zips of a project that are asked for at a time: more than the members of a site that give them. */
export const maxParallelZips = 16

/** Sources of one large zip at a time. */
export const maxZipSources = 3

/** From a source that is this fast nobody takes over, where it is not known that others are faster: bytes per ms. */
export const fastBytesPerMs = 8_000

/** A rest that comes within this time is left to its source, ms. */
export const minSplitMs = 2_000

/** The same for what one of several sources brings, ms: a request costs less. */
export const minStealMs = 250

/** No source is asked for less than this of what another one brings, bytes. */
export const minStretchBytes: number = 1 << 20

/** How often is looked whether a large zip is slow, ms. */
export const splitLookMs = 500

/** Over how long the speed of a body is measured, ms: twice this at most. */
export const paceStepMs = 1_000

/** Of so many holders asked, one more may be asked before its time because the first is later than usual. */
export const asksPerHedge = 20

/** Hedges that may follow one another at once when there were none for long. */
export const maxSparedHedges = 4

/** No first byte is called later than usual before this, ms, and these round trips: as for a have-query. */
export const minHedgeMs = 20
export const minHedgeRtts = 3

/** How long a link to another site that was cut under a body is waited for, ms: a minute, and the way back. */
export const farReturnMs = 150_000

/** A link over which nothing came for so long, neither what was asked for nor a word, is gone, ms: a bit less than a stream may take to open. */
export const goneLinkMs = 2_500

/** A site of which nothing was heard for so long is known to be gone: who asks then does not wait for it. There is a word every 15 s. */
export const knownGoneMs = 20_000

/** How often one holder is waited for so: one that is cut again and again is of no use. */
export const maxFarReturns = 20

/** Between two looks whether it is back, ms. */
export const farLookMs = 1_000

/** Module versions of one graph: the largest known have some 20,000. Who publishes could make one that never ends. */
export const maxGraphModules = 100_000

/** Talks with one peer about one zip: sketches may collide, a codec may fail, and nothing else is tried again. */
export const maxDeltaTries = 3

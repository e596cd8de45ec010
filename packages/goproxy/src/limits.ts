/** One megabyte, bytes. */
const mib = 1 << 20

/** Request line and headers of a local client, bytes: go's are under 1 KiB. */
export const maxHeaderBytes: number = 16 << 10
/** Header fields of a local client: go sends four, browsers some twenty. */
export const maxHeaderCount = 64
/** Local connections at once: 20 go processes of 48 processors each. */
export const maxConnections = 1_024
/** Above this many, idle connections are closed to make room. */
export const crowdedConnections = 768
/** Requests that wait for the one before them on their connection, in all: 10 KiB each, and go never sends such. */
export const maxPipelined = 1_024
/** A client that has not sent its headers by then is trying our memory, ms. */
export const headersTimeoutMs = 5_000
/** As above for the whole request; it never has a body. */
export const requestTimeoutMs = 30_000
/** How often the two are checked, ms. */
export const checkingIntervalMs = 1_000
/** Idle keep-alive, ms: longer than the pauses between go's waves of requests. */
export const keepAliveMs = 30_000
/** How long `supported` may take when no head was ever verified, ms: go waits for it before all else. */
export const supportedMs = 10_000
/** A client that reads nothing of an answer for this long is cut, ms. */
export const writeStallMs = 30_000
/** Longest wait for a validator's word on one module version, ms: a build asks about hundreds, one after another. */
export const validatorMs = 5_000
/** Default of how long a stopping server lets running answers finish, ms. */
export const drainMs = 10_000

/** Targets of hot files that are answered without parsing them again: 300 bytes each. */
export const maxQuickTargets = 8_192
/** Longer targets are parsed each time, characters. */
export const maxQuickTargetChars = 512

/** What `go` shows of an error answer: lines, and bytes in all (cmd/go web, maxErrorDetailLines and -Bytes). */
export const maxErrorLines = 8
export const maxErrorBytes: number = 8 * 81
/** What go writes between two lines of it, and counts: a line feed and a tab. */
export const errorLineGapBytes = 2
/** So that one line leaves room for the next; longer than most URLs, paths and hashes together. */
export const maxErrorLineChars = 300
/** Less than that of a line tells nobody anything. */
export const minErrorLineChars = 20

/** TCP and TLS to an upstream, ms (design, section 6). */
export const connectMs = 5_000
/** First byte of an upstream's answer, ms: a new version can take that long. */
export const firstByteMs = 60_000
/** No progress in an upstream's body, ms. */
export const stallMs = 20_000
/** After so long without a byte an upstream that another one could stand in for is probed, ms: it is left within stallMs. */
export const silenceProbeMs = 15_000
/** Longest wait of one request for upstream in all, retries included, ms. */
export const fetchTimeoutMs = 300_000
/** Part of that after which upstreams that did not answer are given up, so that the error can name them. */
export const toldInTime = 0.95
/** Connections to one upstream, those that wait for slow answers included. */
export const maxOriginConnections = 256
/** Of these for zips: those that stall must not take the last connection from small files. */
export const maxZipConnections = 192
/** Requests to one upstream that are getting bytes: h1 has no multiplexing, graph loading asks for thousands. */
export const maxBusy = 64
/** Of these for zips: small files always find room. */
export const maxBusyZips = 48
/** A request that got nothing for this long does not count as busy, ms: a slow module must not delay others. */
export const idleLeaseMs = 500
/** How often those who wait for a turn look whether time made room, ms. */
export const gateRecheckMs = 100
/** Idle keep-alive to upstreams, ms: the pauses of a build; most servers close after 60 s or later. */
export const keepUpstreamMs = 30_000
/** HTTP/2 streams on one connection to an upstream; further ones open another: one lost packet holds up as many. */
export const maxH2Streams = 100
/** What an upstream may send ahead on one stream, bytes: 50 MB/s at 40 ms of round trip; a slow reader holds so much. */
export const h2StreamWindowBytes: number = 2 * mib
/** As above on all streams of a connection, bytes. */
export const h2ConnectionWindowBytes: number = 16 * mib
/** Incidents after which HTTP/2 is left for h2TroubleMs: as many as maxRetries, so the last attempt is over HTTP/1.1. */
export const h2Incidents = 2
/** How long an origin is asked over its other protocol, and how close its incidents must be, ms. */
export const h2TroubleMs = 300_000
/** How long is believed what protocols an origin speaks, ms: one connection finds out anew. */
export const protocolMemoryMs = 3_600_000
/** Redirects of one request, as cmd/go. */
export const maxRedirects = 10
/** Further attempts after 429, 500, 502, 503 or a reset. */
export const maxRetries = 2
/** Continuations of a cut body, as cmd/go. */
export const maxRestarts = 2
/** As above after a stall, which costs stallMs each time. */
export const maxStallRestarts = 1
/** First pause before another attempt, ms; doubled each time, with jitter. */
export const backoffMs = 100
/** Longest Retry-After that is waited for, ms: a build would rather wait than fail; a longer one is an error at once. */
export const maxRetryAfterMs = 10_000
/** Longest time that an origin is left alone after a 429, ms, whatever it asks for: it may be about one file only. */
export const maxQuietMs = 30_000
/** Further attempts at one origin in a burst, and for ever: an ailing server must not be asked thrice as often. */
export const retryBurst = 20
export const retriesPerSecond = 2
/** A body that brings less than this in stallMs is stalled, bytes: a trickle holds connections for nothing. */
export const minStallBytes: number = 4 << 10
/** Continuations are counted anew after this much, bytes: a long zip over a poor line gets there. */
export const restartProgressBytes: number = 1 * mib
/** A Last-Modified this much older than its answer is as good as a strong ETag (RFC 9110 section 8.8.2.2), ms. */
export const strongDateMs = 60_000
/** What is read of an error answer's text, bytes. */
export const maxDetailBytes: number = 2 << 10

/** An ETag or Last-Modified of an upstream that is kept, characters: real ones have some 70. */
export const maxValidatorChars = 256

/** Nodes that ask one another in a line: more than a company has levels of caches. */
export const maxViaNodes = 8

/** A credential helper may ask a keyring or a token service, ms; nobody sits before it to type. */
export const helperMs = 30_000
/** What a credential helper may print, bytes. */
export const maxHelperBytes: number = 1 * mib
/** A netrc file, bytes: thousands of machines. */
export const maxNetrcBytes: number = 1 * mib
/** Refused requests closer together than this share one question for other credentials, ms. */
export const renewGapMs = 5_000
/** As above for 404 and the like, which seldom mean credentials: one process per missing module is too many, ms. */
export const vainRenewGapMs = 600_000

/** Pause between probes of an origin that refused us, ms: a refusal costs nothing. */
export const refusedProbeGapMs = 100
/** Pause between probes of an origin that did not answer, ms. */
export const silentProbeGapMs = 1_000
/** How long a request waits for a probe of a dead origin, ms: a neighbour that is back has answered by then. */
export const probeWaitMs = 12
/** How often a dead origin is probed while somebody asks for it, ms. */
export const backgroundProbeMs = 2_000
/** Probing ends so long after the last request, ms; the next request begins it again. */
export const forgottenProbeMs = 600_000

/** A version list, bytes: 4 MiB hold 200,000 versions. */
export const maxListBytes: number = 4 * mib
/** A checksum-database lookup or tree head, bytes. */
export const maxLookupBytes: number = 64 << 10
/** A full tile of hashes: 256 of 32 bytes. */
export const maxTileBytes: number = 8 << 10

const KiB = 1024
const MiB = 1024 * KiB

/** Most bytes in flight to one paused stream: covers 400 Mbit/s at 80 ms round trip (reference measurements). */
export const maxStreamWindowBytes: number = 4 * MiB
/** Most unread bytes of a paused stream before it is cut. At least twice the window, else `pause()` cuts it. */
export const maxReadBufferBytes: number = 16 * MiB
/** Inbound connections per second and remote address: a whole branch may sit behind one address. */
export const inboundPerSecond = 200
/** Inbound connections in the middle of their upgrade. */
export const maxPendingInbound = 100
/** Connections, both directions, when nothing else is configured. */
export const defaultMaxConnections = 500
/** Connections beyond the limit that lookups and fetches may open for a moment, both directions. */
export const passingConnections = 64
/** How long a connection beyond the limit lasts at least, milliseconds: lookups that follow each other share one, which costs ten of them. */
export const connectionGraceMs = 8000
/** Bound of one dial attempt to one address, milliseconds; above five round trips on a bad WAN. */
export const addressDialTimeoutMs = 5000
/** Bound of a dial over all addresses of a peer, milliseconds. */
export const dialTimeoutMs = 10_000
/** Bound of an inbound upgrade, handshake and gate included, milliseconds: a stranger holds one of maxPendingInbound places as long. */
export const inboundUpgradeTimeoutMs = 5000
/** Between libp2p's own pings of a connection, milliseconds: each opens a stream, and only the control stream's heartbeat decides anything. */
export const pingEveryMs = 120_000
/** Parallel streams of one small protocol (identify, ping, DHT) per connection. */
export const maxProtocolStreams = 256
/** Nodes that keep a DHT record, and the width of lookups: 20 costs eight times the CPU at 30 nodes. */
export const dhtBucketSize = 5
/** Peers that one lookup asks at once on each of as many paths; the library's 10 ask twice as many for nothing. */
export const dhtParallel = 3
/** Delay before the DHT's first query of itself, milliseconds. */
export const dhtFirstSelfQueryMs = 100
/** Bounds of the DHT's adaptive message timeout, milliseconds: one hung peer must not stall every lookup. */
export const dhtMinTimeoutMs = 500
/** See dhtMinTimeoutMs. */
export const dhtMaxTimeoutMs = 1500

/** Between two looks at the addresses of a name, milliseconds: how long DNS servers of clusters let answers live. */
export const resolveEveryMs = 30_000
/** First wait after a name could not be resolved, milliseconds; doubles. */
export const firstResolveRetryMs = 1000
/** Longest wait between two tries to resolve a name, milliseconds. */
export const maxResolveRetryMs = 30_000
/** Shortest time between two looks, when addresses of a name do not answer, milliseconds. */
export const minResolveMs = 5000
/** For one answer of the resolver, milliseconds: three servers that are asked twice. */
export const resolveTimeoutMs = 15_000
/** Addresses of one name that are dialled: a large site's headless service. */
export const maxNameAddresses = 256

/** First wait after a failed dial, milliseconds; doubles. */
export const firstRedialMs = 250
/** Longest wait between dials of an address that we want, milliseconds (a peer back is found in that time). */
export const maxRedialMs = 15_000
/** Longest wait between dials of a member that failed for long, and of an address that is our own, milliseconds. */
export const maxIdleRedialMs = 300_000
/** Failures in a row after which a learned member is dialled at the idle pace: about ten minutes. */
export const failuresUntilIdle = 45
/** Failures in a row after which a learned peer that never was connected is forgotten. */
export const failuresUntilForgotten = 10
/** A connection that lasted less, milliseconds, does not reset the wait: flapping must not spin. Longer than a peer that has enough keeps us. */
export const steadyConnectionMs = 20_000
/** Peers that we keep in the dial loop beside the configured ones. */
export const maxLearnedPeers = 512
/** Connections up to which the loop dials learned members; configured and LAN ones are always dialled. */
export const maxLearnedConnections = 48
/** Addresses of one peer that discovery may tell. */
export const maxLearnedAddresses = 16

/** How often live connections are checked for expired members, milliseconds. */
export const expiryCheckMs = 15_000

/** Provider records of one peer; about 20,000 modules with two keys each over 30 nodes. */
export const maxProviderRecordsPerPeer = 20_000
/** Provider records in all. */
export const maxProviderRecords = 250_000
/** DHT value records in all; modmesh writes none. */
export const maxValueRecords = 256
/** Remembered peers; the least recently used goes first. */
export const maxPeerRecords = 4096
/** Changed peer records are saved together this often, milliseconds. */
export const peerFlushMs = 5000
/** Bytes of one record; a peer record that grew beyond is dropped, not extended for ever. */
export const maxRecordBytes: number = 16 * KiB

/** Bytes handed to a stream at once: noise makes a frame per write, so small writes are slow. */
export const maxSendBytes: number = 512 * KiB
/** Unsent bytes of a stream above which a sender waits. */
export const maxUnsentBytes: number = 256 * KiB
/** Received bytes waiting for a slow sink above which a stream is paused. */
export const maxUnwrittenBytes: number = 1 * MiB
/** Received chunks are joined up to this before they go to the sink: one write for many. */
export const joinedBytes: number = 256 * KiB
/** How long after news of a revocation connections are looked at, milliseconds: news of one moment go together. */
export const ledgerCheckMs = 20

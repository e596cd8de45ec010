/** Most bytes of a chain on the wire (design section 5, Gate): root, invite and member with room for counter-signatures. */
export const maxChainBytes = 4096
/** Most characters of a ticket, so that a pasted file is refused before it is decoded. */
export const maxTicketChars = 4096
/** Most addresses in a ticket; a dial tries them one after the other. */
export const maxTicketAddresses = 8
/** Most characters of one address in a ticket; a multiaddr with a DNS name and a peer id needs about 330. */
export const maxAddressChars = 400
/** Most UTF-8 bytes of a site name; one DNS label's worth. */
export const maxSiteBytes = 63
/** Most UTF-8 bytes of a node name; host names go up to 253. */
export const maxNameBytes = 253
/** Most roles in one invite. */
export const maxRoles = 8
/** Most UTF-8 bytes of one role. */
export const maxRoleBytes = 32
/** Most bytes of one certificate body: keys and limits above, plus fields of later versions. */
export const maxBodyBytes = 1536
/** Most bytes of a peer id (RSA multihash; Ed25519 needs 38). */
export const maxPeerIdBytes = 64
/** Most bytes of the stored state: chains, root seed and ticket addresses. */
export const maxStateBytes = 32_768
/**
 * How long an invite admits when nothing else is said, milliseconds: 30 days, since a program that
 * cannot be counter-signed (of an older version) is out with its invite. The command line says 24 h.
 */
export const defaultInviteMs: number = 30 * 24 * 3_600_000
/** Longest life of an invite, milliseconds: ten years. */
export const maxInviteMs: number = 3650 * 24 * 3_600_000
/** How far a certificate may lie in the future, milliseconds: the clocks of build hosts differ. */
export const clockSkewMs: number = 5 * 60_000
/** Most uses an invite can name; it fits 32 bits. */
export const maxUses: number = 2 ** 31 - 1
/** Most bytes of the reason that a revocation carries; one line for people. */
export const maxReasonBytes = 200
/** Most rotations of a mesh's root: each is a signed record of some 230 bytes in every chain. */
export const maxRotations = 6
/** Most changes of a host's key before it needs a new ticket: each is 170 bytes in its chain. */
export const maxSuccessions = 3
/** How deep signers may stand on signers: root, administrator, inviter, host. */
export const maxSignerDepth = 2
/** Most members that a rotation takes along, and that a node remembers. */
export const maxKnownMembers = 4096
/** Hosts that an invite takes when it names no number: a stolen ticket must not fill what members remember. */
export const defaultUses = 1024
/** Bytes of each of them in a rotation: a second peer id with the same costs 2^128. */
export const keptBytes = 16
/** Most revocations by administrators that a node keeps: 1 % of a mesh of 4,000 each week for two years. */
export const maxRevocations = 4096
/** Most records of other kinds (members that left or changed keys, spent invites). */
export const maxMinorRecords = 2048
/** Most of those that one member can make. */
export const maxMinorPerSigner = 256
/** Bytes that name a record. */
export const recordIdBytes = 16
/** Most bytes of one record: a body, its signer's chain and, in a rotation, all kept members. */
export const maxRecordBytes: number = 8192 + maxKnownMembers * keptBytes
/** Most bytes of all records: 1 KiB each. */
export const maxLedgerBytes = 8_388_608
/** Most bytes of a module path, or of a version, in a statement about a private module: it fits a body. */
export const maxModuleTextBytes = 512
/** Bytes of the secret under which private modules are announced: a key of HMAC-SHA-256. */
export const secretBytes = 32
/** Most bytes of a signed statement with its signer's chain. */
export const maxSignedBytes: number = maxBodyBytes + maxChainBytes + 256

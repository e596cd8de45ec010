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
/** Most bytes of the stored state: chain, root seed and ticket addresses. */
export const maxStateBytes = 16_384
/**
 * How long an invite admits when nothing else is said, milliseconds: 30 days. Every membership is
 * provisional and ends with its invite until counter-signing exists, so a short default would end
 * a working mesh.
 */
export const defaultInviteMs: number = 30 * 24 * 3_600_000
/** Longest life of an invite, milliseconds: ten years. */
export const maxInviteMs: number = 3650 * 24 * 3_600_000
/** How far a certificate may lie in the future, milliseconds: the clocks of build hosts differ. */
export const clockSkewMs: number = 5 * 60_000
/** Most uses an invite can name; it fits 32 bits. */
export const maxUses: number = 2 ** 31 - 1

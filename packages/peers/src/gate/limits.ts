/** How long both sides have for the exchange after the handshake, milliseconds (design section 5, Gate). */
export const gateTimeoutMs = 2000
/** How long a refusal may take to leave before the connection is cut, milliseconds. */
export const refusalFlushMs = 500
/** How long a node that was away waits for news before it lets others in, milliseconds: half of the gate's time. */
export const catchUpMs = 1000
/** Most bytes kept while reading: one chain and the peer's first bytes after it. */
export const gateBufferBytes = 16_384
/** Most verified members remembered; more cannot be connected at once. */
export const maxRememberedMembers = 4096

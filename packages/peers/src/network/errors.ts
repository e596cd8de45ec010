/** Tells that the mesh port cannot be used. */
export class PeerListenError extends Error {
  readonly code = 'PEER_LISTEN'
  override readonly name = 'PeerListenError'
  readonly address: string

  constructor(address: string, why: string, options?: ErrorOptions) {
    super(`cannot listen for peers on ${address}: ${why}`, options)
    this.address = address
  }
}

/** Tells that a text is no address of a peer. */
export class InvalidPeerAddressError extends Error {
  readonly code = 'INVALID_PEER_ADDRESS'
  override readonly name = 'InvalidPeerAddressError'
  readonly address: string

  constructor(address: string, why: string, options?: ErrorOptions) {
    super(`not a peer address: ${JSON.stringify(address.slice(0, 200))}: ${why}`, options)
    this.address = address
  }
}

/** Tells that another process holds the folder of peer hints. */
export class PeerDatastoreLockedError extends Error {
  readonly code = 'PEER_DATASTORE_LOCKED'
  override readonly name = 'PeerDatastoreLockedError'
}

/** Tells that a stream ended before its declared length, or was cut. */
export class StreamCutError extends Error {
  readonly code = 'STREAM_CUT'
  override readonly name = 'StreamCutError'
  readonly receivedBytes: number
  readonly expectedBytes: number

  constructor(
    init: { readonly receivedBytes: number; readonly expectedBytes: number },
    options?: ErrorOptions,
  ) {
    super(`the stream ended after ${init.receivedBytes} of ${init.expectedBytes} bytes`, options)
    this.receivedBytes = init.receivedBytes
    this.expectedBytes = init.expectedBytes
  }
}

/** Tells that a peer sent more than it declared. */
export class StreamOverrunError extends Error {
  readonly code = 'STREAM_OVERRUN'
  override readonly name = 'StreamOverrunError'
}

/** Tells that a stream could not be written to its end. */
export class StreamSendError extends Error {
  readonly code = 'STREAM_SEND'
  override readonly name = 'StreamSendError'
}

import { constants, randomBytes } from 'node:crypto'
import { isIP, type OnReadOpts, type Socket } from 'node:net'
import {
  type ConnectionOptions,
  connect,
  createServer,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'
import { pipeLimits, pipeTimes } from './limits.ts'

/** What opens one pipe, once: a name and a key that only the two ends know. */
export interface PipeSecret {
  /** 16 bytes. */
  readonly name: Uint8Array
  /** 32 bytes. */
  readonly key: Uint8Array
}

export function newPipeSecret(): PipeSecret {
  return { name: randomBytes(16), key: randomBytes(32) }
}

/**
 * TLS with a pre-shared key: no certificates, and nobody without the key gets past the first flight. The key
 * is fresh and came over the gated connection. Resumption would go around it.
 */
const tlsOptions = {
  ciphers: 'PSK-AES128-GCM-SHA256',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies TlsOptions

/** A pipe whose handshake is over. */
export interface PipeSocket {
  readonly socket: TLSSocket
  /** Gives what comes from now on; the listener has the bytes until it returns. Call it once, at once. */
  readonly onBytes: (listener: (bytes: Uint8Array) => void) => void
}

/** Where the other end listens. */
export interface PipeAddress {
  readonly host: string
  readonly port: number
}

/** Dials the other end. Throws the socket's errors, the signal's reason. */
export async function dialPipe(
  address: PipeAddress,
  { name, key }: PipeSecret,
  { signal }: { readonly signal: AbortSignal },
): Promise<PipeSocket> {
  signal.throwIfAborted()
  if (isIP(address.host) === 0) throw new Error('a pipe is dialled by IP')
  const identity = Buffer.from(name).toString('hex')
  let take: (bytes: Uint8Array) => void = () => {}
  // One buffer for all that is read: without it each 16 KiB are garbage.
  const onread: OnReadOpts = {
    buffer: Buffer.allocUnsafeSlow(pipeLimits.readBytes),
    callback: (count, buffer) => {
      take(buffer.subarray(0, count))
      return true
    },
  }
  const options: ConnectionOptions & { readonly onread: OnReadOpts } = {
    ...address,
    ...tlsOptions,
    onread,
    pskCallback: () => ({ psk: key, identity }),
    // The key says who it is.
    checkServerIdentity: () => undefined,
  }
  const socket = connect(options)
  socket.setNoDelay(true)
  socket.on('error', closesToo)
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  socket.once('secureConnect', resolve)
  socket.once('error', reject)
  socket.once('close', () => reject(new Error('the pipe was closed')))
  try {
    await promise
    return {
      socket,
      onBytes: (listener) => {
        take = listener
      },
    }
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.removeListener('error', reject)
  }
}

interface Expected {
  readonly key: Uint8Array
  readonly came: (socket: PipeSocket) => void
}

/** Lets in the pipes that are expected, and nobody else. */
export class PipeDoor {
  readonly #expected = new Map<string, Expected>()
  readonly #names = new WeakMap<TLSSocket, string>()
  readonly #server: Server
  /** Where handshakes under way come from. */
  readonly #shaking = new Set<string>()

  constructor({ handshakeMs = pipeTimes.openMs }: { readonly handshakeMs?: number } = {}) {
    this.#server = createServer({
      ...tlsOptions,
      handshakeTimeout: handshakeMs,
      pskCallback: (socket, identity) => {
        const expected = this.#expected.get(identity)
        if (expected === undefined) return null
        this.#names.set(socket, identity)
        return expected.key
      },
    })
    this.#server.on('secureConnection', (socket) => this.#came(socket))
    // One that takes too long is only told of: it would be open for ever.
    this.#server.on('tlsClientError', (_error, socket) => void socket.destroy())
  }

  /** Takes a connection whose handshake is still to be read. */
  readonly take = (socket: Socket): void => {
    const isExpected = this.#expected.size > 0 && this.#shaking.size < pipeLimits.shaking
    if (!isExpected) return void socket.destroy()
    const from = remoteOf(socket)
    this.#shaking.add(from)
    socket.once('close', () => this.#shaking.delete(from))
    this.#server.emit('connection', socket)
  }

  /** Waits for the pipe with this secret. Throws the signal's reason. */
  async expect(
    { name, key }: PipeSecret,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<PipeSocket> {
    signal.throwIfAborted()
    const identity = Buffer.from(name).toString('hex')
    const { promise, resolve, reject } = Promise.withResolvers<PipeSocket>()
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#expected.set(identity, { key, came: resolve })
    try {
      return await promise
    } finally {
      this.#expected.delete(identity)
      signal.removeEventListener('abort', onAbort)
    }
  }

  #came(socket: TLSSocket): void {
    socket.on('error', closesToo)
    this.#shaking.delete(remoteOf(socket))
    const name = this.#names.get(socket)
    const expected = name === undefined ? undefined : this.#expected.get(name)
    if (name === undefined || expected === undefined) return void socket.destroy()
    // A secret opens one pipe.
    this.#expected.delete(name)
    socket.setNoDelay(true)
    expected.came({ socket, onBytes: (listener) => void socket.on('data', listener) })
  }
}

function remoteOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

/** Strangers, and peers that went away: `close` follows, and whoever waits hears that. */
function closesToo(): void {}

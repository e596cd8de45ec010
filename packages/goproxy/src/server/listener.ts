import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { ListenError } from '../errors.ts'
import * as limits from '../limits.ts'
import { type ListenAddress, parseListenAddress } from '../listen-address.ts'

/** What a listener tells of its connections. */
export interface ListenerComponents {
  readonly onRequest: RequestListener
  readonly onConnection: (socket: Socket) => void
}

/** One address that is served over HTTP, with the limits of a local port. */
export class Listener {
  readonly #server: Server
  readonly #bound: ListenAddress

  /** Starts to accept. Throws ListenError for an address that is malformed, taken or not ours. */
  static async open(components: ListenerComponents, listen: string): Promise<Listener> {
    const address = parseListenAddress(listen)
    if (address === undefined) {
      const wanted = 'want HOST:PORT or unix:/PATH (absolute, at most 103 bytes)'
      throw new ListenError(`cannot listen on ${JSON.stringify(listen)}: ${wanted}`)
    }
    const server = makeServer(components)
    try {
      return new Listener(server, await bind(server, address))
    } catch (cause) {
      throw new ListenError(listenReason(listen, cause), { cause })
    }
  }

  private constructor(server: Server, bound: ListenAddress) {
    this.#server = server
    this.#bound = bound
  }

  /** What is served, with the port that was picked. */
  get address(): ListenAddress {
    return this.#bound
  }

  /** Stops to accept; resolves when the last connection is closed. */
  close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.closeIdle()
    return closed
  }

  closeIdle(): void {
    this.#server.closeIdleConnections()
  }

  closeAll(): void {
    this.#server.closeAllConnections()
  }
}

function makeServer({ onRequest, onConnection }: ListenerComponents): Server {
  const server = createServer(
    {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: limits.checkingIntervalMs,
      keepAliveTimeout: limits.keepAliveMs,
      maxHeaderSize: limits.maxHeaderBytes,
      // The gate asks for exactly one Host, and says so in a text.
      requireHostHeader: false,
      noDelay: true,
    },
    onRequest,
  )
  server.maxHeadersCount = limits.maxHeaderCount
  server.maxConnections = limits.maxConnections
  server.on('connection', onConnection)
  server.on('clientError', refuseBadRequest)
  return server
}

async function bind(server: Server, address: ListenAddress): Promise<ListenAddress> {
  if (address.kind === 'unix') {
    await removeStaleSocket(address.path)
    await listening(server, { path: address.path })
    return address
  }
  const { host, port } = address
  await listening(server, { port, ...(host === '' ? {} : { host }) })
  const bound = server.address() as AddressInfo
  return { kind: 'tcp', host: bound.address, port: bound.port }
}

function listening(
  server: Server,
  where: { readonly path: string } | { readonly port: number; readonly host?: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

/** A killed process leaves its socket behind. One that answers, and any other kind of file, is left alone. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined) // then listening says what is wrong
  if (found?.isSocket() !== true) return
  const socket = connect(path)
  try {
    await once(socket, 'connect')
  } catch (error) {
    if (codeOf(error) === 'ECONNREFUSED') await unlink(path)
  } finally {
    socket.destroy()
  }
}

/** Bytes that are no HTTP, too many of them, or too slow ones. */
function refuseBadRequest(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const statuses = new Map([
    ['HPE_HEADER_OVERFLOW', '431 Request Header Fields Too Large'],
    ['ERR_HTTP_REQUEST_TIMEOUT', '408 Request Timeout'],
  ])
  const status = statuses.get(error.code ?? '') ?? '400 Bad Request'
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}

function listenReason(listen: string, cause: unknown): string {
  const isSocket = parseListenAddress(listen)?.kind === 'unix'
  const reasons = new Map([
    ['EADDRINUSE', 'the address is in use'],
    ['EADDRNOTAVAIL', 'this machine does not have that address'],
    // libuv says this of a socket in a folder that does not exist, too.
    ['EACCES', isSocket ? 'no permission, or no such folder' : 'permission denied'],
    ['ENOTFOUND', 'no such host'],
  ])
  const text = cause instanceof Error ? cause.message : String(cause)
  return `cannot listen on ${listen}: ${reasons.get(codeOf(cause) ?? '') ?? text}`
}

function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

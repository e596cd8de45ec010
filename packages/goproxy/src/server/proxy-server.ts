import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { ListenError } from '../errors.ts'
import { splitHostPort } from '../host.ts'
import * as limits from '../limits.ts'
import { parseRequestTarget } from '../request-path.ts'
import { checkGate, type Refusal } from './gate.ts'
import { answerRequest, type HandlerComponents } from './handler.ts'
import { narrowReply } from './range.ts'
import { type Reply, textReply } from './reply.ts'
import { sendReply } from './send.ts'
import { errorReply } from './status.ts'
import { WaitingConnections } from './waiting-connections.ts'
import { WriteStalls } from './write-stalls.ts'

/** Where and how to serve. */
export interface ProxyServerInit {
  /** `127.0.0.1:4770`, `[::1]:0`, `:4770` (all interfaces); port 0 picks one. */
  readonly listen: string
  /** Further names allowed in the Host header. */
  readonly hosts?: readonly string[]
  /** Base path that every request must begin with, without slashes at its ends. */
  readonly pathSecret?: string | undefined
  /** A client that reads nothing for this long is cut, ms. */
  readonly writeStallMs?: number
  /** What could not be answered and why; errors that the client caused by going away are not told. */
  readonly onError?: (error: unknown, target: string) => void
}

/** The local GOPROXY server: gate, route, answer. Holds no state of its own. */
export class ProxyServer implements AsyncDisposable {
  readonly #components: HandlerComponents
  readonly #init: ProxyServerInit
  readonly #server: Server
  readonly #stalls: WriteStalls
  readonly #hosts: ReadonlySet<string>
  readonly #connections = new WaitingConnections(limits.crowdedConnections)
  #draining = false

  /** Starts to serve. Throws ListenError for an address that is malformed, taken or not ours. */
  static async listen(components: HandlerComponents, init: ProxyServerInit): Promise<ProxyServer> {
    const server = new ProxyServer(components, init)
    await server.#listen()
    return server
  }

  private constructor(components: HandlerComponents, init: ProxyServerInit) {
    this.#components = components
    this.#init = init
    this.#hosts = new Set((init.hosts ?? []).map((host) => splitHostPort(host)?.host ?? host))
    this.#stalls = new WriteStalls(init.writeStallMs ?? limits.writeStallMs)
    this.#server = createServer(
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
      (request, response) => void this.#serve(request, response),
    )
    this.#server.maxHeadersCount = limits.maxHeaderCount
    this.#server.maxConnections = limits.maxConnections
    this.#server.on('connection', (socket) => this.#connections.add(socket))
    this.#server.on('clientError', refuseBadRequest)
  }

  /** The bound address. */
  get address(): { readonly host: string; readonly port: number } {
    const { address, port } = this.#server.address() as AddressInfo
    return { host: address, port }
  }

  /** What belongs into GOPROXY: scheme, address and the secret base path. */
  get url(): string {
    const { host, port } = this.address
    const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : bracket(host)
    const { pathSecret } = this.#init
    return `http://${name}:${port}${pathSecret ? `/${pathSecret}` : ''}`
  }

  /** Stops to accept, lets running answers finish for `drainMs`, then cuts them. */
  async close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#draining = true
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    const cut = setTimeout(
      () => this.#server.closeAllConnections(),
      options.drainMs ?? limits.drainMs,
    )
    await closed
    clearTimeout(cut)
    this.#stalls[Symbol.dispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close({ drainMs: 0 })
  }

  #listen(): Promise<void> {
    const address = splitHostPort(this.#init.listen)
    if (address?.port === undefined) {
      throw new ListenError(`cannot listen on ${JSON.stringify(this.#init.listen)}: want HOST:PORT`)
    }
    const { host, port } = address
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        this.#stalls[Symbol.dispose]()
        reject(new ListenError(listenReason(this.#init.listen, cause), { cause }))
      })
      this.#server.listen({ port, ...(host === '' ? {} : { host }) }, resolve)
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    // A client that goes away: no answer is owed, and nothing here is to blame.
    response.on('error', () => gone.abort())
    this.#connections.busy(request.socket)
    response.once('close', () => {
      gone.abort()
      this.#connections.idle(request.socket)
    })
    this.#stalls.watch(response)
    const head = request.method === 'HEAD'
    try {
      const reply = await this.#answer(request, gone.signal)
      this.#finishWhenDraining(request, response)
      await sendReply(response, reply, { head })
    } catch (error) {
      if (gone.signal.aborted) return
      this.#init.onError?.(error, request.url ?? '')
      await this.#sendError(response, error, head)
    }
  }

  async #answer(request: IncomingMessage, signal: AbortSignal): Promise<Reply> {
    const refusal = checkGate(
      {
        method: request.method ?? '',
        target: request.url ?? '',
        rawHeaders: request.rawHeaders,
        localAddress: request.socket.localAddress,
      },
      { hosts: this.#hosts },
    )
    if (refusal !== undefined) return refusalReply(refusal)
    try {
      const reply = await this.#route(request, signal)
      const { headers } = request
      return narrowReply(reply, {
        range: headers.range,
        ifRange: headers['if-range']?.toString(),
        ifMatch: headers['if-match']?.toString(),
        ifNoneMatch: headers['if-none-match']?.toString(),
      })
    } catch (error) {
      if (signal.aborted) throw error
      const reply = errorReply(error)
      if (reply.status >= 500) this.#init.onError?.(error, request.url ?? '')
      return reply
    }
  }

  #route(request: IncomingMessage, signal: AbortSignal): Promise<Reply> {
    const { pathSecret } = this.#init
    const parsed = parseRequestTarget(request.url ?? '', pathSecret ? { pathSecret } : {})
    // The older way to say `/cached-only` (reference A12).
    const noFetch = request.headers['disable-module-fetch'] === 'true'
    const asked = noFetch && parsed.kind !== 'page' ? { ...parsed, cachedOnly: true } : parsed
    const secret = pathSecret ? `/${pathSecret}` : ''
    return answerRequest(this.#components, asked, {
      baseUrl: `http://${request.headers.host}${secret}`,
      signal,
    })
  }

  /** An answer that failed before its first byte becomes an error; after that the connection is cut. */
  async #sendError(response: ServerResponse, error: unknown, head: boolean): Promise<void> {
    try {
      if (!response.headersSent) return await sendReply(response, errorReply(error), { head })
    } catch (unsendable) {
      this.#init.onError?.(unsendable, '')
    }
    response.destroy()
  }

  #finishWhenDraining(request: IncomingMessage, response: ServerResponse): void {
    if (this.#draining || !request.complete) response.shouldKeepAlive = false
    response.once('close', () => {
      if (this.#draining) setImmediate(() => this.#server.closeIdleConnections())
    })
  }
}

function refusalReply(refusal: Refusal): Reply {
  return textReply(refusal.status, `modmesh: ${refusal.reason}\n`, {
    'cache-control': 'no-store',
    connection: 'close',
    ...(refusal.status === 405 ? { allow: 'GET, HEAD' } : {}),
  })
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

function listenReason(listen: string, cause: NodeJS.ErrnoException): string {
  const reasons = new Map([
    ['EADDRINUSE', 'the address is in use'],
    ['EADDRNOTAVAIL', 'this machine does not have that address'],
    ['EACCES', 'permission denied'],
    ['ENOTFOUND', 'no such host'],
  ])
  return `cannot listen on ${listen}: ${reasons.get(cause.code ?? '') ?? cause.message}`
}

function bracket(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

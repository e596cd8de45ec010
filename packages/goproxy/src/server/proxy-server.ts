import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { ListenError } from '../errors.ts'
import { splitHostPort } from '../host.ts'
import * as limits from '../limits.ts'
import { type ListenAddress, urlOfAddress } from '../listen-address.ts'
import { parseRequestTarget } from '../request-path.ts'
import type { ViaChain } from '../via.ts'
import { checkGate, type Refusal } from './gate.ts'
import { answerRequest, type HandlerComponents } from './handler.ts'
import { Listener } from './listener.ts'
import { QuickAnswers } from './quick-answers.ts'
import { narrowReply } from './range.ts'
import { type Reply, textReply } from './reply.ts'
import { RequestTurns } from './request-turns.ts'
import { sendReply } from './send.ts'
import { errorReply } from './status.ts'
import { WaitingConnections } from './waiting-connections.ts'
import { WriteStalls } from './write-stalls.ts'

/** Where and how to serve. */
export interface ProxyServerInit {
  /** `127.0.0.1:4770`, `[::1]:0`, `:4770` (all interfaces), `unix:/path`; port 0 picks one. Several serve alike. */
  readonly listen: string | readonly string[]
  /** Further names allowed in the Host header. */
  readonly hosts?: readonly string[]
  /** Base path that every request must begin with, without slashes at its ends. */
  readonly pathSecret?: string | undefined
  /** Notices requests that came of our own ones. */
  readonly via?: ViaChain
  /** A client that reads nothing for this long is cut, ms. */
  readonly writeStallMs?: number
  /** What could not be answered and why; errors that the client caused by going away are not told. */
  readonly onError?: (error: unknown, target: string) => void
}

/** The local GOPROXY server: gate, route, answer, the same on every address. Holds no state of its own. */
export class ProxyServer implements AsyncDisposable {
  readonly #components: HandlerComponents
  readonly #init: ProxyServerInit
  readonly #listeners: Listener[] = []
  readonly #stalls: WriteStalls
  readonly #hosts: ReadonlySet<string>
  readonly #connections = new WaitingConnections(limits.crowdedConnections)
  readonly #turns = new RequestTurns(limits.maxPipelined)
  readonly #quick: QuickAnswers | undefined
  readonly #refused = new WeakSet<Socket>()
  #draining = false

  /** Starts to serve. Throws ListenError for an address that is malformed, taken or not ours. */
  static async listen(components: HandlerComponents, init: ProxyServerInit): Promise<ProxyServer> {
    const server = new ProxyServer(components, init)
    try {
      await server.#listen()
      return server
    } catch (error) {
      await server.close({ drainMs: 0 })
      throw error
    }
  }

  private constructor(components: HandlerComponents, init: ProxyServerInit) {
    this.#components = components
    this.#init = init
    this.#hosts = new Set((init.hosts ?? []).map((host) => splitHostPort(host)?.host ?? host))
    this.#stalls = new WriteStalls(init.writeStallMs ?? limits.writeStallMs)
    // A secret is compared in constant time: its targets are not looked up.
    if (!init.pathSecret) this.#quick = new QuickAnswers(components.source, { hosts: this.#hosts })
  }

  /** The bound addresses, in the order in which they were asked for. */
  get addresses(): readonly ListenAddress[] {
    return this.#listeners.map(({ address }) => address)
  }

  /** The first bound TCP address. Throws ListenError when there are only Unix sockets. */
  get address(): { readonly host: string; readonly port: number } {
    const tcp = this.addresses.find((address) => address.kind === 'tcp')
    if (tcp === undefined) throw new ListenError('this server listens on no TCP port')
    return tcp
  }

  /** What belongs into GOPROXY: scheme, first TCP address and the secret base path. */
  get url(): string {
    const { pathSecret } = this.#init
    return `${urlOfAddress({ kind: 'tcp', ...this.address })}${pathSecret ? `/${pathSecret}` : ''}`
  }

  /** Stops to accept, lets running answers finish for `drainMs`, then cuts them. */
  async close(options: { readonly drainMs?: number } = {}): Promise<void> {
    this.#draining = true
    const closed = this.#listeners.map((listener) => listener.close())
    const cut = setTimeout(() => {
      for (const listener of this.#listeners) listener.closeAll()
    }, options.drainMs ?? limits.drainMs)
    await Promise.all(closed)
    clearTimeout(cut)
    this.#stalls[Symbol.dispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close({ drainMs: 0 })
  }

  async #listen(): Promise<void> {
    const { listen } = this.#init
    const components = {
      onRequest: (request: IncomingMessage, response: ServerResponse) =>
        this.#serveQuickly(request, response) || void this.#serve(request, response),
      onConnection: (socket: Socket) => this.#connections.add(socket),
    }
    for (const address of typeof listen === 'string' ? [listen] : listen) {
      this.#listeners.push(await Listener.open(components, address))
    }
  }

  /** Sends what needs no wait. False when the request is to go the usual way. */
  #serveQuickly(request: IncomingMessage, response: ServerResponse): boolean {
    if (this.#draining || this.#refused.has(request.socket)) return false
    if (this.#turns.isBusy(request.socket)) return false
    const answer = this.#quick?.find(request)
    if (answer === undefined) return false
    this.#connections.busy(request.socket)
    this.#connections.idle(request.socket)
    response.on('error', ignore)
    response.writeHead(200, answer.headers as string[])
    response.end(request.method === 'HEAD' ? undefined : answer.body)
    if (response.writableLength > 0) {
      this.#stalls.watch(response)
      this.#closeAfterDraining(response)
    }
    return true
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const turn = this.#turns.enter(request.socket, response)
    if (turn !== undefined) await turn
    if (request.socket.destroyed) return
    const gone = new AbortController()
    // A client that goes away: no answer is owed, and nothing here is to blame.
    response.on('error', () => gone.abort(clientGone))
    this.#connections.busy(request.socket)
    response.once('close', () => {
      if (!response.writableFinished) gone.abort(clientGone)
      this.#connections.idle(request.socket)
    })
    // What follows a refused request on its connection may be the body of it: nothing there is a question.
    if (this.#refused.has(request.socket)) return
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
    if (refusal !== undefined) {
      this.#refused.add(request.socket)
      return refusalReply(refusal)
    }
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
    const noFetch = truths.has(request.headers['disable-module-fetch']?.toString() ?? '')
    if (!noFetch) this.#quick?.learn(request, parsed)
    const asked = noFetch && parsed.kind !== 'page' ? { ...parsed, cachedOnly: true } : parsed
    const secret = pathSecret ? `/${pathSecret}` : ''
    const answer = (): Promise<Reply> =>
      answerRequest(this.#components, asked, {
        baseUrl: `http://${request.headers.host}${secret}`,
        address: request.socket.remoteAddress ?? 'unix',
        query: queryOf(request.url ?? ''),
        signal,
      })
    const { via } = this.#init
    return via === undefined ? answer() : via.receive(request.headers.via, answer)
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
    this.#closeAfterDraining(response)
  }

  #closeAfterDraining(response: ServerResponse): void {
    response.once('close', () => {
      if (this.#draining) setImmediate(() => this.#closeIdle())
    })
  }

  #closeIdle(): void {
    for (const listener of this.#listeners) listener.closeIdle()
  }
}

/** What Go's strconv.ParseBool takes for true, and so other proxies do. */
const truths: ReadonlySet<string> = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])

function queryOf(target: string): string {
  const start = target.indexOf('?')
  return start < 0 ? '' : target.slice(start + 1)
}

/** A client that goes away while it is answered: nobody is to blame. */
function ignore(): void {}

/** One for all: making an error costs more than most answers. */
const clientGone: Error = new Error('the client went away')

function refusalReply(refusal: Refusal): Reply {
  return textReply(refusal.status, `modmesh: ${refusal.reason}\n`, {
    'cache-control': 'no-store',
    connection: 'close',
    ...(refusal.status === 405 ? { allow: 'GET, HEAD' } : {}),
  })
}

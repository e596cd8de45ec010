import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import {
  createSecureServer,
  type Http2ServerRequest,
  Http2ServerResponse,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { tlsFile } from './tls-server.ts'

/** One request: over what, and what for. */
interface SeenRequest {
  readonly protocol: string
  readonly path: string
  readonly headers: Http2ServerRequest['headers']
}

/** What a server does with a request, in place of a good answer. */
export type Misbehaviour = (
  response: Http2ServerResponse,
  stream: ServerHttp2Stream | undefined,
) => void

/** A real server of HTTP/2 (and HTTP/1.1, unless told otherwise) that can be told to misbehave. */
export interface H2Server extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly seen: SeenRequest[]
  /** Sessions of HTTP/2 that were ever opened. */
  readonly sessions: Set<ServerHttp2Session>
  /** Connections that were ever opened. */
  connections(): number
  /** TLS handshakes that failed. */
  refused(): number
  /** The protocols of all requests for paths that end so, in order. */
  protocols(end?: string): string[]
  /** The next requests (all, with no count) are treated like this; `over` says which protocol alone. */
  break(how: Misbehaviour, count?: number, over?: string): void
  /** Closes the door and all connections; another one may be started on the port. */
  kill(): Promise<void>
}

interface H2ServerInit extends SecureServerOptions {
  readonly port?: number
  /** Answers what does not misbehave. */
  readonly answer?: (path: string, response: Http2ServerResponse, range: string) => void
}

export async function startH2(init: H2ServerInit = {}): Promise<H2Server> {
  const { port: wanted = 0, answer = answerWell, ...options } = init
  const [key, cert] = await Promise.all([
    readFile(tlsFile('server.key')),
    readFile(tlsFile('server.pem')),
  ])
  const seen: SeenRequest[] = []
  const sessions = new Set<ServerHttp2Session>()
  const sockets = new Set<Socket>()
  let [connections, refused] = [0, 0]
  let broken: { how: Misbehaviour; left: number; over: string | undefined } | undefined
  const server = createSecureServer({
    key,
    cert,
    allowHTTP1: true,
    maxSessionMemory: 1_000,
    ...options,
  })
  server.on('request', (request, response) => {
    const { url: path, httpVersion: protocol, headers, method } = request
    const stream = response instanceof Http2ServerResponse ? response.stream : undefined
    stream?.on('error', () => {})
    if (method === 'GET') seen.push({ protocol, path, headers })
    const hits = broken?.over === undefined || broken.over === protocol
    if (broken !== undefined && hits && broken.left-- > 0) return broken.how(response, stream)
    answer(path, response, headers.range ?? '')
  })
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => {})
  })
  server.on('tlsClientError', () => refused++)
  server.on('sessionError', () => {})
  server.on('connection', (socket: Socket) => {
    connections++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(wanted, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const kill = async (): Promise<void> => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    seen,
    sessions,
    connections: () => connections,
    refused: () => refused,
    protocols: (end = '') =>
      seen.filter(({ path }) => path.endsWith(end)).map(({ protocol }) => protocol),
    break: (how, count = Number.POSITIVE_INFINITY, over) => {
      broken = { how, left: count, over }
    },
    kill,
    [Symbol.asyncDispose]: kill,
  }
}

/** Large enough to be cut in the middle. */
export const zipBytes: Buffer = Buffer.concat([Buffer.from('PK'), Buffer.alloc(300_000, 'modmesh')])

/** Answers with a length and a strong validator; honours `bytes=N-`. */
export function answerWell(path: string, response: Http2ServerResponse, range: string): void {
  const whole = bodyOf(path)
  const start = range === '' ? 0 : Number(range.slice('bytes='.length, -1))
  const part = { 'content-range': `bytes ${start}-${whole.length - 1}/${whole.length}` }
  response.writeHead(range === '' ? 200 : 206, {
    etag: '"1"',
    'content-length': whole.length - start,
    ...(range === '' ? {} : part),
  })
  response.end(whole.subarray(start))
}

/** What every file of that kind holds. */
export function bodyOf(path: string): Buffer {
  if (path.endsWith('.zip')) return zipBytes
  if (path.endsWith('.info') || path.endsWith('/@latest'))
    return Buffer.from('{"Version":"v1.0.0"}')
  return Buffer.from(path.endsWith('/list') ? 'v1.0.0\nv1.1.0\n' : 'module example.com/m\n')
}

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { createGunzip } from 'node:zlib'
import { tlsFile } from '../../packages/goproxy/test/support/tls-server.ts'
import { GitRepo } from './git-repo.ts'

/** One request to the host, as it came. */
export interface GitRequest {
  readonly method: string
  readonly host: string
  /** With the query. */
  readonly url: string
  /** Of git's protocol: `fetch` brings files, `fetch-trees` their names, `ls-refs` those of branches and tags. */
  readonly command: 'fetch' | 'fetch-trees' | 'ls-refs' | undefined
  /** Whether it came with the right credentials. */
  readonly isKnown: boolean
}

/** What goes wrong with a request. */
export type GitFault =
  | { readonly kind: 'status'; readonly status: number; readonly text?: string }
  /** Never answers. */
  | { readonly kind: 'hang' }

export interface GitHostInit {
  /** What every request for a repository needs; none: open to all. */
  readonly login?: { readonly user: string; readonly password: string }
}

/**
 * A git host: real git (http-backend) behind a TLS server under the test authority, with pages that tell `go` where
 * repositories are. It is reached under every `*.modmesh.test` name through its own proxy, as set in `HTTPS_PROXY`.
 */
export class GitHost implements AsyncDisposable {
  readonly requests: GitRequest[] = []
  /** Where the bare repositories lie. */
  readonly root: string
  readonly #init: GitHostInit
  readonly #tls: Server
  readonly #proxy: Server
  readonly #sockets = new Set<Socket>()
  readonly #faults: { readonly matches: (url: string) => boolean; readonly fault: GitFault }[] = []

  static async start(init: GitHostInit = {}): Promise<GitHost> {
    const root = await mkdtemp(join(tmpdir(), 'modmesh-git-'))
    const [key, cert] = await Promise.all([
      readFile(tlsFile('server.key')),
      readFile(tlsFile('server.pem')),
    ])
    const host = new GitHost(root, init, { key, cert })
    await Promise.all([listen(host.#tls), listen(host.#proxy)])
    return host
  }

  private constructor(
    root: string,
    init: GitHostInit,
    tls: { readonly key: Buffer; readonly cert: Buffer },
  ) {
    this.root = root
    this.#init = init
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      this.#answer(request, response).catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : new Error(String(error)))
      })
    }
    this.#tls = createHttpsServer(tls, answer)
    this.#proxy = createHttpServer(answer)
    this.#proxy.on('connect', (_request: IncomingMessage, socket: Socket) => this.#tunnel(socket))
  }

  /** The proxy, which leads every name to this host. */
  get proxyUrl(): string {
    return `http://127.0.0.1:${portOf(this.#proxy)}`
  }

  /** What a process needs in order to reach this host, and to see nothing of this machine's own settings. */
  env(home: string): Record<string, string> {
    return {
      HOME: home,
      HTTP_PROXY: this.proxyUrl,
      HTTPS_PROXY: this.proxyUrl,
      http_proxy: this.proxyUrl,
      https_proxy: this.proxyUrl,
      GIT_CONFIG_NOSYSTEM: '1',
      GOENV: 'off',
      GOTOOLCHAIN: 'local',
    }
  }

  /** Makes a repository, served as `https://<any>.modmesh.test/<name>` and `…/<name>.git`. */
  repo(name: string): GitRepo {
    return new GitRepo(this.root, name)
  }

  /** Lets requests fail whose URL matches; returns how to end that. */
  break(matches: (url: string) => boolean, fault: GitFault): () => void {
    const entry = { matches, fault }
    this.#faults.push(entry)
    return () => {
      this.#faults.splice(this.#faults.indexOf(entry), 1)
    }
  }

  /** Requests that brought files of a repository, or of any. */
  fetches(name = ''): readonly GitRequest[] {
    return this.requests.filter(
      ({ command, url }) => command === 'fetch' && url.startsWith(`/${name}`),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of [this.#tls, this.#proxy]) {
      server.close()
      server.closeAllConnections()
    }
    for (const socket of this.#sockets) socket.destroy()
    await rm(this.root, { recursive: true, force: true, maxRetries: 5 })
  }

  #tunnel(client: Socket): void {
    const server = connect(portOf(this.#tls), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      client.pipe(server).pipe(client)
    })
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.once('close', () => {
        this.#sockets.delete(socket)
        client.destroy()
        server.destroy()
      })
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { host, url } = targetOf(request)
    const body = await readBody(request)
    const isKnown = this.#isKnown(request.headers.authorization)
    const method = request.method ?? ''
    this.requests.push({ method, host, url, command: commandOf(body), isKnown })
    if (this.#fails(url, response)) return
    if (url.endsWith('?go-get=1')) return this.#discover(host, url, response)
    if (!isKnown) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' })
      response.end('Unauthorized\n')
      return
    }
    await this.#serveGit(request, response, url, body)
  }

  #isKnown(authorization: string | undefined): boolean {
    const { login } = this.#init
    if (login === undefined) return true
    const basic = Buffer.from(`${login.user}:${login.password}`).toString('base64')
    return authorization === `Basic ${basic}`
  }

  #fails(url: string, response: ServerResponse): boolean {
    const fault = this.#faults.find(({ matches }) => matches(url))?.fault
    if (fault === undefined) return false
    if (fault.kind === 'hang') return true
    response.writeHead(fault.status, { 'content-type': 'text/plain' })
    response.end(fault.text ?? '')
    return true
  }

  /** The page with which go finds the repository of a path: the longest one that there is. */
  #discover(host: string, url: string, response: ServerResponse): void {
    const parts = url.slice(1, -'?go-get=1'.length).split('/')
    const names = parts.map((_, i) => parts.slice(0, parts.length - i).join('/'))
    const name = names.find((each) => existsSync(join(this.root, `${each}.git`, 'HEAD')))
    if (name === undefined) {
      response.writeHead(404)
      response.end('no such page\n')
      return
    }
    const scheme = host.startsWith('insecure.') ? 'http' : 'https'
    const repository = `${scheme}://${host}/${name}.git`
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end(`<meta name="go-import" content="${host}/${name} git ${repository}">\n`)
  }

  async #serveGit(
    request: IncomingMessage,
    response: ServerResponse,
    url: string,
    body: Buffer,
  ): Promise<void> {
    const [path = '', query = ''] = url.split('?', 2)
    const version = request.headers['git-protocol']
    const child = spawn(httpBackend, [], {
      env: {
        PATH: process.env['PATH'],
        GIT_CONFIG_GLOBAL: '/dev/null',
        GIT_CONFIG_NOSYSTEM: '1',
        GIT_PROJECT_ROOT: this.root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: path,
        QUERY_STRING: query,
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        CONTENT_LENGTH: String(body.length),
        ...(typeof version === 'string' && { HTTP_GIT_PROTOCOL: version }),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    child.stdin.on('error', () => undefined) // it may end before it has read all
    child.stdin.end(body)
    sendCgi(await buffer(child.stdout), response)
  }
}

/** The program behind every git host that speaks HTTP. */
const httpBackend: string = join(
  spawnSync('git', ['--exec-path'], { encoding: 'utf8' }).stdout.trim(),
  'git-http-backend',
)

/** A request to a proxy names its host in the target. */
function targetOf(request: IncomingMessage): { readonly host: string; readonly url: string } {
  const target = request.url ?? ''
  const absolute = URL.parse(target)
  if (absolute === null) return { host: request.headers.host ?? '', url: target }
  return { host: absolute.host, url: absolute.pathname + absolute.search }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const isZipped = request.headers['content-encoding'] === 'gzip'
  return await buffer(isZipped ? request.pipe(createGunzip()) : request)
}

function commandOf(body: Buffer): GitRequest['command'] {
  const start = body.toString('latin1', 4, 40)
  if (start.startsWith('command=fetch')) {
    return body.includes('filter blob:none') ? 'fetch-trees' : 'fetch'
  }
  return start.startsWith('command=ls-refs') ? 'ls-refs' : undefined
}

/** Passes on what a CGI program wrote: header lines, an empty one, the body. */
function sendCgi(output: Buffer, response: ServerResponse): void {
  const end = output.indexOf('\r\n\r\n')
  const lines = output.toString('latin1', 0, Math.max(end, 0)).split('\r\n')
  let status = 200
  for (const line of lines) {
    const [name = '', value = ''] = line.split(': ', 2)
    if (name.toLowerCase() === 'status') status = Number(value.slice(0, 3))
    else if (name !== '') response.setHeader(name, value)
  }
  response.writeHead(end < 0 ? 500 : status)
  response.end(output.subarray(end + 4))
}

async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}

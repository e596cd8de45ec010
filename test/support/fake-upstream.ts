import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  compareVersions,
  escapeModulePath,
  escapeVersion,
  type ModuleVersion,
  parseModuleVersion,
} from '@modmesh/module'
import { SumdbNotFoundError, SumdbUnavailableError } from '@modmesh/sumdb'
import { FakeSumdb } from '@modmesh/sumdb/testing'
import { FakePort, sendPart } from './fake-port.ts'
import {
  buildModuleZip,
  type ModuleFiles,
  type ModuleZipOptions,
  modBytes,
  moduleHashes,
} from './module-zip.ts'

/** A module version that the upstream has. */
export interface FakeModule {
  readonly path: string
  readonly version: string
  /** Default: a go.mod and one file that names the version. */
  readonly files?: ModuleFiles
  /** RFC 3339. */
  readonly time?: string
  /** For zips that lie. */
  readonly zip?: ModuleZipOptions
  /** Whether `@v/list` shows it. Default: true. */
  readonly listed?: boolean
  /** Whether the checksum database has its record. Default: true. */
  readonly logged?: boolean
}

/** What goes wrong with an answer. Several may match one request; they add up. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly text?: string }
  /** Before the first byte. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Sends so many bytes of a longer body and then nothing, for ever; undefined: not even headers. */
  | { readonly kind: 'stall'; readonly afterBytes?: number }
  /** Closes the connection after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly afterBytes: number }
  /** Flips one bit of the byte at an offset. */
  | { readonly kind: 'corrupt'; readonly at: number }
  /** Declares so many bytes more than are sent, then closes. */
  | { readonly kind: 'wrong-length'; readonly by: number }
  /** A login page with status 200. */
  | { readonly kind: 'html' }
  /** These bytes, with status 200. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'redirect'; readonly to: string }

/** One request as it came. */
export interface LoggedRequest {
  readonly method: string
  /** Decoded, without the query: `/example.com/!upper/@v/list`. */
  readonly path: string
  /** As sent. */
  readonly target: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

export interface FakeUpstreamInit {
  readonly modules?: readonly FakeModule[]
  /** Default: a database of its own, named `sum.test`. */
  readonly sumdb?: FakeSumdb
  /** Wait before every answer, milliseconds. */
  readonly delayMs?: number
  /** Whether `/sumdb/<name>/supported` is 200. Default: true. */
  readonly proxiesSumdb?: boolean
  /** Default: a free port. */
  readonly port?: number
  /** Address to listen on. Default: 127.0.0.1. */
  readonly host?: string
}

interface PlannedFault {
  readonly matches: (path: string) => boolean
  readonly fault: Fault
  left: number
}

interface Body {
  readonly status: number
  readonly type: string
  readonly bytes: Uint8Array
  readonly etag?: string
}

/** A module at v0.1.0 that needs `lib` at v1.0.0, and tells which version it got. */
export function appOf(path: string, lib: string): FakeModule {
  return {
    path,
    version: 'v0.1.0',
    files: {
      'go.mod': `module ${path}\n\ngo 1.20\n\nrequire ${lib} v1.0.0\n`,
      'app.go': `package app\n\nimport lib "${lib}"\n\nconst Version = lib.Version\n`,
    },
  }
}

const plainText = 'text/plain; charset=utf-8'

/** A real HTTP upstream: modules made on the spot, a checksum database, a request log and faults on command. */
export class FakeUpstream implements AsyncDisposable {
  readonly sumdb: FakeSumdb
  /** All requests since the start or the last `forget`, in order. */
  readonly requests: LoggedRequest[] = []
  readonly #init: FakeUpstreamInit
  readonly #bodies = new Map<string, Body>()
  readonly #versions = new Map<string, Set<string>>()
  readonly #faults: PlannedFault[] = []
  readonly #port: FakePort

  static async start(init: FakeUpstreamInit = {}): Promise<FakeUpstream> {
    const upstream = new FakeUpstream(init)
    await upstream.up()
    return upstream
  }

  private constructor(init: FakeUpstreamInit) {
    this.#init = init
    this.#port = new FakePort((...exchange) => void this.#serve(...exchange), init)
    this.sumdb = init.sumdb ?? new FakeSumdb()
    for (const module of init.modules ?? []) this.add(module)
  }

  /** For `--upstream` and GOPROXY. */
  get url(): string {
    return this.#port.url
  }

  /** For `--sumdb` and GOSUMDB: the key and where this upstream serves the database. */
  get gosumdb(): string {
    return `${this.sumdb.keyText} ${this.url}/sumdb/${this.sumdb.name}`
  }

  /** Adds a module version, its record included. */
  add(module: FakeModule): ModuleVersion {
    const { path, version, time = '2024-01-02T03:04:05Z' } = module
    const files = module.files ?? defaultFiles(module)
    const parsed = parseModuleVersion(path, version)
    const base = `/${escapeModulePath(parsed.path)}/@v/`
    const name = base + escapeVersion(version)
    const info = JSON.stringify({ Version: version, Time: time })
    const zip = buildModuleZip(module, files, module.zip)
    this.#put(`${name}.info`, 'application/json', Buffer.from(info))
    this.#put(`${name}.mod`, plainText, modBytes(module, files))
    this.#put(`${name}.zip`, 'application/zip', zip)
    if (module.listed !== false) this.#list(base, version)
    if (module.logged !== false && this.sumdb.idOf(path, version) === undefined) {
      const { zip: zipHash, mod: modHash } = moduleHashes(module, files)
      const name = `${path} ${version}`
      this.sumdb.add(path, version, `${name} ${zipHash}\n${name}/go.mod ${modHash}\n`)
    }
    return parsed
  }

  /** Answers `@v/<query>.info` with that of a version that was added. */
  addQuery(path: string, query: string, version: string): void {
    const base = `/${escapeModulePath(parseModuleVersion(path, version).path)}/@v/`
    const info = this.#bodies.get(`${base}${escapeVersion(version)}.info`)
    if (info === undefined) throw new Error(`add ${path}@${version} first`)
    this.#bodies.set(`${base}${escapeVersion(query)}.info`, info)
  }

  /** Forgets a file, by its path: 404 from then on. */
  remove(path: string): void {
    this.#bodies.delete(path)
  }

  /** The bytes behind a path, or undefined. */
  bytesOf(path: string): Uint8Array | undefined {
    return this.#bodies.get(path)?.bytes
  }

  /** Breaks the answers to the paths that match, `times` of them or all; returns how to stop that. */
  break(matches: (path: string) => boolean, fault: Fault, times = Infinity): () => void {
    const planned: PlannedFault = { matches, fault, left: times }
    this.#faults.push(planned)
    return () => {
      planned.left = 0
    }
  }

  /** How often a path was asked for; without a path, all requests but probes for life. */
  count(path?: string): number {
    return this.requests.filter((request) =>
      path === undefined ? request.method === 'GET' : request.path === path,
    ).length
  }

  /** Connections opened since the start. */
  get connections(): number {
    return this.#port.connections
  }

  /** How often each path was asked for. */
  counts(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const { path } of this.requests) counts.set(path, (counts.get(path) ?? 0) + 1)
    return counts
  }

  forget(): void {
    this.requests.length = 0
  }

  /** Closes the port and all connections, as a machine that goes away. */
  async down(): Promise<void> {
    await this.#port.down()
  }

  /** Opens the port again: the same one as before. */
  async up(): Promise<void> {
    await this.#port.up()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.down()
  }

  #put(path: string, type: string, bytes: Uint8Array): void {
    const etag = `"${createHash('sha256').update(bytes).digest('hex')}"`
    this.#bodies.set(path, { status: 200, type, bytes, etag })
  }

  #list(base: string, version: string): void {
    const versions = this.#versions.get(base) ?? new Set()
    this.#versions.set(base, versions.add(version))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? '/'
    const path = decodeURIComponent(target.split('?', 1)[0] ?? '/')
    const { method = 'GET', headers } = request
    this.requests.push({ method, path, target, headers })
    const faults = this.#faultsFor(path)
    const delayMs = faults.reduce(
      (sum, fault) => (fault.kind === 'delay' ? sum + fault.ms : sum),
      this.#init.delayMs ?? 0,
    )
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs))
    const body = faults.reduce(changeBody, this.#find(path))
    sendBody(request, response, body, faults)
  }

  #faultsFor(path: string): readonly Fault[] {
    const matching = this.#faults.filter(({ matches, left }) => left > 0 && matches(path))
    for (const planned of matching) planned.left--
    return matching.map(({ fault }) => fault)
  }

  #find(path: string): Body {
    const base = `/sumdb/${this.sumdb.name}/`
    if (path.startsWith(base)) return this.#findInSumdb(path.slice(base.length - 1))
    if (path.endsWith('/@v/list')) return this.#findList(path.slice(0, -'list'.length))
    if (path.endsWith('/@latest')) return this.#findLatest(path.slice(0, -'@latest'.length))
    return this.#bodies.get(path) ?? notFound(`not found: ${path}`)
  }

  #findList(base: string): Body {
    const versions = this.#versions.get(base)
    if (versions === undefined) return notFound(`not found: no module ${base}`)
    const lines = [...versions].map((version) => `${version}\n`)
    return { status: 200, type: plainText, bytes: Buffer.from(lines.join('')) }
  }

  #findLatest(base: string): Body {
    const versions = [...(this.#versions.get(`${base}@v/`) ?? [])].toSorted(compareVersions)
    const latest = versions.at(-1)
    const info = latest && this.#bodies.get(`${base}@v/${escapeVersion(latest)}.info`)
    return info || notFound(`not found: nothing latest of ${base}`)
  }

  #findInSumdb(path: string): Body {
    if (path === '/supported') {
      if (this.#init.proxiesSumdb === false) return notFound('not supported')
      return { status: 200, type: plainText, bytes: Buffer.alloc(0) }
    }
    try {
      return { status: 200, type: 'application/octet-stream', bytes: this.sumdb.serve(path) }
    } catch (error) {
      if (error instanceof SumdbNotFoundError) return notFound(`not found: ${error.message}`)
      if (!(error instanceof SumdbUnavailableError)) throw error
      return { status: 503, type: plainText, bytes: Buffer.from(`${error.message}\n`) }
    }
  }
}

function changeBody(body: Body, fault: Fault): Body {
  switch (fault.kind) {
    case 'status':
      return { ...notFound(fault.text ?? `made-up ${fault.status}`), status: fault.status }
    case 'html':
      return { status: 200, type: 'text/html', bytes: Buffer.from('<!doctype html><p>Log in</p>') }
    case 'bytes':
      return { status: 200, type: body.type, bytes: fault.bytes }
    case 'corrupt': {
      const bytes = Uint8Array.from(body.bytes)
      bytes[fault.at] = (bytes[fault.at] ?? 0) ^ 1
      return { ...body, bytes }
    }
    default:
      return body
  }
}

function sendBody(
  request: IncomingMessage,
  response: ServerResponse,
  body: Body,
  faults: readonly Fault[],
): void {
  const redirect = faults.find((fault) => fault.kind === 'redirect')
  if (redirect !== undefined) {
    response.writeHead(302, { location: redirect.to }).end()
    return
  }
  const stall = faults.find((fault) => fault.kind === 'stall')
  if (stall !== undefined && stall.afterBytes === undefined) return
  const start = rangeStart(request, body)
  const rest = body.bytes.subarray(start)
  const longer = faults.find((fault) => fault.kind === 'wrong-length')
  const size = body.bytes.length
  response.writeHead(start > 0 ? 206 : body.status, {
    'content-type': body.type,
    'content-length': rest.length + (longer?.by ?? 0),
    ...(body.etag === undefined ? {} : { etag: body.etag, 'accept-ranges': 'bytes' }),
    ...(start > 0 ? { 'content-range': `bytes ${start}-${size - 1}/${size}` } : {}),
  })
  const cut = faults.find((fault) => fault.kind === 'cut')
  const sent = rest.subarray(0, cut?.afterBytes ?? stall?.afterBytes ?? rest.length)
  // What is sent whole cannot stall: its client may use the connection again.
  const isWhole = cut === undefined && sent.length === rest.length && longer === undefined
  if (request.method === 'HEAD') response.end()
  else if (isWhole) response.end(rest)
  else sendPart(response, sent, stall === undefined)
}

/** Honours `Range: bytes=N-` under an equal If-Range; everything else is the whole. */
function rangeStart(request: IncomingMessage, body: Body): number {
  const { range, 'if-range': ifRange } = request.headers
  if (range === undefined || ifRange !== body.etag || body.status !== 200) return 0
  const start = Number(range.slice('bytes='.length).split('-', 1)[0])
  return start > 0 && start < body.bytes.length ? start : 0
}

function notFound(text: string): Body {
  return { status: 404, type: plainText, bytes: Buffer.from(`${text}\n`) }
}

function defaultFiles(module: FakeModule): ModuleFiles {
  const name =
    module.path
      .split('/')
      .at(-1)
      ?.replaceAll(/[^a-z0-9]/g, '') || 'm'
  return {
    'go.mod': `module ${module.path}\n\ngo 1.20\n`,
    [`${name}.go`]: `package ${name}\n\nconst Version = "${module.version}"\n`,
  }
}

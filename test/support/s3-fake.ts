import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { FakePort, sendPart } from './fake-port.ts'
import { hasGoodSignature } from './s3-signature.ts'

/** What goes wrong with an answer. */
export type S3Fault =
  /** An error as S3 gives it. */
  | { readonly kind: 'error'; readonly status: number; readonly code?: string }
  /** Sends so many bytes of the body and then nothing, for ever; undefined: not even headers. */
  | { readonly kind: 'stall'; readonly afterBytes?: number }
  /** Closes the connection after so many bytes of the body. */
  | { readonly kind: 'cut'; readonly afterBytes: number; readonly etag?: false }
  /** As `cut`, and meanwhile the object is replaced by these bytes. */
  | { readonly kind: 'swap'; readonly afterBytes: number; readonly by: Uint8Array }
  /** Declares so many bytes more than are sent, then closes. */
  | { readonly kind: 'wrong-length'; readonly by: number }
  /** A body without length and without end, a megabyte at a time. */
  | { readonly kind: 'endless' }
  | { readonly kind: 'redirect'; readonly to: string }
  /** These bytes with status 200, whatever is there. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** Answers a range with another one. */
  | { readonly kind: 'wrong-range' }
  /** Takes so many bytes of what is sent, then closes. */
  | { readonly kind: 'refuse-body'; readonly afterBytes: number }
  /** Reads nothing of what is sent. */
  | { readonly kind: 'deaf' }

export interface S3FakeInit {
  readonly bucket?: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
  /** Whether `If-None-Match: *` works for writes; else it is 501, as old servers say. Default: true. */
  readonly hasConditions?: boolean
}

/** One request as it came. */
export interface S3Seen {
  readonly method: string
  readonly key: string
  readonly headers: IncomingMessage['headers']
}

interface S3Object {
  readonly bytes: Uint8Array
  readonly headers: IncomingMessage['headers']
}

interface PlannedFault {
  readonly matches: (seen: S3Seen) => boolean
  readonly fault: S3Fault
  left: number
}

/** A bucket on a port of 127.0.0.1, in path style, that checks signatures and fails on command. */
export class S3Fake implements AsyncDisposable {
  readonly objects: Map<string, S3Object> = new Map()
  readonly seen: S3Seen[] = []
  readonly bucket: string
  readonly #init: S3FakeInit
  readonly #faults: PlannedFault[] = []
  readonly #port: FakePort

  static async start(init: S3FakeInit): Promise<S3Fake> {
    const fake = new S3Fake(init)
    await fake.up()
    return fake
  }

  private constructor(init: S3FakeInit) {
    this.#init = init
    this.bucket = init.bucket ?? 'modules'
    this.#port = new FakePort((request, response) => {
      // What a fault cuts off is no trouble of the fake's.
      this.#serve(request, response).catch(() => response.destroy())
    })
  }

  get endpoint(): string {
    return this.#port.url
  }

  /** Puts an object there, as anybody with write access may. */
  put(key: string, bytes: Uint8Array): void {
    this.objects.set(key, { bytes, headers: {} })
  }

  /** Makes matching requests fail `times` times; returns how to end it. */
  fail(matches: (seen: S3Seen) => boolean, fault: S3Fault, times: number = Infinity): () => void {
    const planned: PlannedFault = { matches, fault, left: times }
    this.#faults.push(planned)
    return () => {
      planned.left = 0
    }
  }

  /** How often a method was used. */
  count(method: string): number {
    return this.seen.filter((seen) => seen.method === method).length
  }

  /** Closes the port and all connections. */
  async down(): Promise<void> {
    await this.#port.down()
  }

  /** Opens the port again: the same one as before. */
  async up(): Promise<void> {
    await this.#port.up()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', headers, url = '/' } = request
    const base = `/${this.bucket}/`
    const path = decodeURIComponent(url.split('?', 1)[0] ?? '')
    const key = path.startsWith(base) ? path.slice(base.length) : ''
    const seen = { method, key, headers }
    this.seen.push(seen)
    const planned = this.#faults.find(({ left, matches }) => left > 0 && matches(seen))
    if (planned !== undefined) planned.left--
    const fault = planned?.fault
    if (fault?.kind === 'deaf') return
    if (fault?.kind === 'refuse-body') return await refuseBody(request, fault.afterBytes)
    const body = method === 'PUT' ? await readAll(request) : new Uint8Array()
    if (fault?.kind === 'stall' && fault.afterBytes === undefined) return
    if (fault?.kind === 'redirect') {
      response.writeHead(307, { location: fault.to }).end()
      return
    }
    if (fault?.kind === 'error') return this.#error(response, seen, fault.status, fault.code ?? '')
    const error = this.#check(request, body, path.startsWith(base))
    if (error !== undefined) return this.#error(response, seen, ...error)
    if (method === 'PUT') return this.#write(response, seen, body)
    this.#read(response, seen, fault)
  }

  #check(
    request: IncomingMessage,
    body: Uint8Array,
    isOurs: boolean,
  ): [status: number, code: string] | undefined {
    const sha256 = request.headers['x-amz-content-sha256']
    if (sha256 !== createHash('sha256').update(body).digest('hex')) {
      return [400, 'XAmzContentSHA256Mismatch']
    }
    if (request.headers['x-amz-security-token'] !== this.#init.sessionToken) {
      return [400, 'InvalidToken']
    }
    if (!hasGoodSignature(request, this.#init)) return [403, 'SignatureDoesNotMatch']
    return isOurs ? undefined : [404, 'NoSuchBucket']
  }

  #write(response: ServerResponse, seen: S3Seen, bytes: Uint8Array): void {
    if (seen.headers['if-none-match'] === '*') {
      if (this.#init.hasConditions === false) {
        return this.#error(response, seen, 501, 'NotImplemented')
      }
      if (this.objects.has(seen.key)) return this.#error(response, seen, 412, 'PreconditionFailed')
    }
    this.objects.set(seen.key, { bytes, headers: seen.headers })
    response.writeHead(200, { etag: etagOf(bytes) }).end()
  }

  #read(response: ServerResponse, seen: S3Seen, fault: S3Fault | undefined): void {
    if (fault?.kind === 'endless') return endless(response)
    const bytes = fault?.kind === 'bytes' ? fault.bytes : this.objects.get(seen.key)?.bytes
    if (bytes === undefined) return this.#error(response, seen, 404, 'NoSuchKey')
    const etag = etagOf(bytes)
    const wanted = seen.headers['if-match']
    if (wanted !== undefined && wanted !== etag) {
      return this.#error(response, seen, 412, 'PreconditionFailed')
    }
    const start = Number(seen.headers.range?.slice('bytes='.length).split('-')[0] ?? 0)
    const told = fault?.kind === 'wrong-range' ? start + 1 : start
    const rest = bytes.subarray(start)
    const length = rest.length + (fault?.kind === 'wrong-length' ? fault.by : 0)
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': length,
      ...(fault?.kind === 'cut' && fault.etag === false ? {} : { etag }),
      ...(start > 0 && {
        'content-range': `bytes ${told}-${bytes.length - 1}/${bytes.length}`,
      }),
    })
    if (seen.method === 'HEAD') response.end()
    else this.#send(response, seen, rest, fault)
  }

  #send(
    response: ServerResponse,
    seen: S3Seen,
    rest: Uint8Array,
    fault: S3Fault | undefined,
  ): void {
    switch (fault?.kind) {
      case 'swap':
        this.put(seen.key, fault.by)
        return sendPart(response, rest.subarray(0, fault.afterBytes), true)
      case 'cut':
        return sendPart(response, rest.subarray(0, fault.afterBytes), true)
      case 'stall':
        return sendPart(response, rest.subarray(0, fault.afterBytes), false)
      case 'wrong-length':
        return sendPart(response, rest, true)
      default:
        response.end(rest)
    }
  }

  /** As a careless server: it repeats everything that it knows of the request. */
  #error(response: ServerResponse, seen: S3Seen, status: number, code: string): void {
    const { accessKeyId, secretAccessKey, sessionToken = '' } = this.#init
    const known = [seen.headers.authorization, accessKeyId, secretAccessKey, sessionToken].join(' ')
    const text = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${known}</Message></Error>`
    response.writeHead(status, { 'content-type': 'application/xml', 'x-echo': known })
    response.end(seen.method === 'HEAD' ? undefined : text)
  }
}

async function readAll(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of request) chunks.push(chunk as Uint8Array)
  return new Uint8Array(Buffer.concat(chunks))
}

async function refuseBody(request: IncomingMessage, afterBytes: number): Promise<void> {
  let length = 0
  for await (const chunk of request) {
    length += (chunk as Uint8Array).length
    if (length >= afterBytes) break
  }
  request.socket.destroy()
}

function endless(response: ServerResponse): void {
  const chunk = Buffer.alloc(1 << 20, 'x')
  response.writeHead(200, { etag: '"endless"' })
  const more = (): void => {
    if (!response.destroyed) response.write(chunk, () => setImmediate(more))
  }
  more()
}

function etagOf(bytes: Uint8Array): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`
}

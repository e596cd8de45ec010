import type { Readable } from 'node:stream'
import { AwsV4Signer } from 'aws4fetch'
import type { Dispatcher } from 'undici'
import { type AttemptLimits, Dispatchers } from '../upstream/dispatchers.ts'
import { FetchError } from '../upstream/fetch-error.ts'
import { headerOf } from '../upstream/http-answer.ts'
import { readBody } from '../upstream/read-body.ts'
import { toFetchError } from '../upstream/to-fetch-error.ts'
import type { AwsSettings } from './aws-settings.ts'
import { maxS3ErrorBytes, s3ConnectMs, s3FirstByteMs, s3StallMs } from './limits.ts'
import { encodeKey } from './object-key.ts'
import { readS3ErrorCode } from './s3-error-code.ts'
import type { S3Location } from './s3-location.ts'
import { Upload } from './upload.ts'

/** How a bucket is spoken to. */
export interface S3ClientInit {
  readonly location: S3Location
  /** Certificates trusted in addition, PEM. */
  readonly caFile: string | undefined
  readonly userAgent: string
  /** Default: those of limits.ts. */
  readonly limits?: AttemptLimits
}

/** One request for one object. */
export interface S3Request {
  readonly method: 'GET' | 'HEAD' | 'PUT'
  readonly key: string
  readonly headers?: Readonly<Record<string, string>>
  /** With `sha256`, 64 hex digits, and a `content-length` header. */
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
  readonly sha256?: string
  /** How long the answer may take to begin once all is sent, ms. */
  readonly firstByteMs?: number
}

/** An answer that is no error. `absent`: no such object; `refused`: a condition of ours does not hold. */
export interface S3Answer {
  readonly kind: 'found' | 'absent' | 'refused'
  readonly status: number
  header(name: string): string | undefined
  /** Rejects with FetchError, or the signal's reason. Must be read to its end, or left by `leave`. */
  readonly body: AsyncIterable<Uint8Array>
  /** Closes the connection of a body that is not wanted. */
  leave(): void
}

const defaultLimits: AttemptLimits = {
  connectMs: s3ConnectMs,
  firstByteMs: s3FirstByteMs,
  stallMs: s3StallMs,
}

const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** Codes after which other credentials may do better. */
const credentialCodes: readonly string[] = ['ExpiredToken', 'InvalidToken', 'InvalidAccessKeyId']

/** Signed requests (AWS Signature Version 4) for the objects of one bucket. Retries nothing. */
export class S3Client implements AsyncDisposable {
  readonly #settings: AwsSettings
  readonly #dispatchers: Dispatchers
  readonly #bucket: { readonly base: URL; readonly region: string }
  readonly #stallMs: number
  readonly #userAgent: string
  readonly #signingKeys = new Map<string, ArrayBuffer>()

  private constructor(
    components: { readonly settings: AwsSettings; readonly dispatchers: Dispatchers },
    init: {
      readonly base: URL
      readonly region: string
      readonly userAgent: string
      readonly stallMs: number
    },
  ) {
    this.#settings = components.settings
    this.#dispatchers = components.dispatchers
    this.#bucket = init
    this.#userAgent = init.userAgent
    this.#stallMs = init.stallMs
  }

  /** Touches no network. Throws NoS3CredentialsError, InvalidS3UrlError, InvalidCaFileError. */
  static async open(
    components: { readonly settings: AwsSettings },
    init: S3ClientInit,
  ): Promise<S3Client> {
    const { settings } = components
    const { location, caFile, userAgent, limits = defaultLimits } = init
    const { stallMs } = limits
    await settings.credentials()
    const region = location.region ?? (await settings.region())
    const endpoint = location.endpoint ?? (await settings.endpoint())
    const dispatchers = new Dispatchers({ caFile, limits, env: settings.env })
    const base = baseOf(location, endpoint, region)
    return new S3Client({ settings, dispatchers }, { base, region, userAgent, stallMs })
  }

  /** Throws FetchError, or the signal's reason. */
  async send(request: S3Request, { signal }: { readonly signal: AbortSignal }): Promise<S3Answer> {
    const { base } = this.#bucket
    const response = await this.#dispatch(request, signal)
    const answer = (kind: S3Answer['kind']): S3Answer => ({
      kind,
      status: response.statusCode,
      header: (name) => headerOf(response, name),
      body: readBody(base.origin, response.body, { signal, stallMs: this.#stallMs }),
      leave: () => response.body.destroy(),
    })
    if (response.statusCode === 200 || response.statusCode === 206) return answer('found')
    const code = await this.#errorCode(response)
    if (response.statusCode === 412) return answer('refused')
    if (response.statusCode === 404 && code !== 'NoSuchBucket') return answer('absent')
    if (credentialCodes.includes(code)) this.#settings.renew()
    const status = response.statusCode
    const text = `${base.origin}: ${status}${code === '' ? '' : ` ${code}`}${hint(code, response)}`
    throw new FetchError('status', text, { status })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dispatchers[Symbol.asyncDispose]()
  }

  async #dispatch(request: S3Request, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    const url = new URL(encodeKey(request.key), this.#bucket.base)
    const { body } = request
    if (body === undefined || body instanceof Uint8Array) {
      return await this.#exchange(url, request, body, signal)
    }
    using upload = new Upload(body, { signal, origin: url.origin, stallMs: this.#stallMs })
    return await this.#exchange(url, request, upload.body, upload.signal)
  }

  async #exchange(
    url: URL,
    request: S3Request,
    body: Uint8Array | Readable | undefined,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    const headers = await this.#sign(request, url)
    try {
      const response = await this.#dispatchers.for(url).request({
        origin: url.origin,
        path: url.pathname,
        method: request.method,
        headers,
        signal,
        ...(body === undefined ? {} : { body }),
        ...(request.firstByteMs === undefined ? {} : { headersTimeout: request.firstByteMs }),
      })
      // A body that nobody reads any more may still fail, and must not take the process with it.
      response.body.on('error', () => {})
      return response
    } catch (error) {
      throw signal.aborted ? signal.reason : toFetchError(url.origin, error)
    }
  }

  /** Never one of the credentials, whatever the answer repeats. */
  async #errorCode(response: Dispatcher.ResponseData): Promise<string> {
    const code = await readS3ErrorCode(response.body, maxS3ErrorBytes)
    const secrets = Object.values(await this.#settings.credentials())
    return secrets.some((secret) => secret?.includes(code)) ? '' : code
  }

  async #sign(request: S3Request, url: URL): Promise<Record<string, string>> {
    const credentials = await this.#settings.credentials()
    const signed = await new AwsV4Signer({
      method: request.method,
      url: url.href,
      headers: { ...request.headers, 'x-amz-content-sha256': request.sha256 ?? emptySha256 },
      accessKeyId: credentials.accessKeyId,
      secretAccessKey: credentials.secretAccessKey,
      ...(credentials.sessionToken && { sessionToken: credentials.sessionToken }),
      service: 's3',
      region: this.#bucket.region,
      cache: this.#signingKeys,
    }).sign()
    return { ...Object.fromEntries(signed.headers), 'user-agent': this.#userAgent }
  }
}

/** Where the bucket's keys begin; ends in a slash. */
function baseOf(location: S3Location, endpoint: URL | undefined, region: string): URL {
  const { bucket } = location
  const service = endpoint ?? new URL(`https://s3.${region}.amazonaws.com`)
  // A name with dots does not match the service's certificate.
  const style = location.style ?? (endpoint || bucket.includes('.') ? 'path' : 'virtual')
  return style === 'path'
    ? new URL(`${service.origin}/${bucket}/`)
    : new URL(`${service.protocol}//${bucket}.${service.host}/`)
}

/** What people can do about the commonest mistakes. */
function hint(code: string, response: Dispatcher.ResponseData): string {
  const region = headerOf(response, 'x-amz-bucket-region')
  const isElsewhere = response.statusCode === 301 || response.statusCode === 400
  if (isElsewhere && region !== undefined && region.length <= 32) {
    return ` (the bucket is in region ${region})`
  }
  if (code !== 'AccessDenied') return ''
  return ' (without s3:ListBucket a missing object looks like this, too)'
}

import {
  type ByteSink,
  type RecordProof,
  RemoteError,
  type RemoteObject,
  type RemotePart,
  type RemoteStore,
} from '@modmesh/fill'
import { type ModuleVersion, maxModBytes } from '@modmesh/module'
import { collect } from '../upstream/body.ts'
import { FetchError, isRetryable } from '../upstream/fetch-error.ts'
import { backoffPauseMs, sleepUntilAborted } from '../upstream/sleep.ts'
import { AwsSettings, type AwsSurroundings } from './aws-settings.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import * as limits from './limits.ts'
import { contentOf } from './object-content.ts'
import { objectKey } from './object-key.ts'
import { parseRecordObject } from './record-object.ts'
import { ResumedBody } from './resumed-body.ts'
import { type S3Answer, S3Client, type S3ClientInit, type S3Request } from './s3-client.ts'
import { formatS3Location } from './s3-location.ts'

type Waiting = { readonly signal: AbortSignal }

/** How a bucket does. */
export interface S3Health {
  readonly state: 'on' | 'down'
  /** Why the last read or write failed, until one succeeds. Without credentials. */
  readonly readFailure: string | undefined
  readonly writeFailure: string | undefined
}

/** The bucket is left alone from now on, or answers again. */
export interface S3Change {
  readonly what: 'reads' | 'writes'
  readonly isDown: boolean
  /** Without credentials. */
  readonly reason: string | undefined
}

/** What a bucket is opened with. */
export interface S3StoreInit extends S3ClientInit {
  readonly onChange?: (change: S3Change) => void
}

/**
 * A bucket of S3 or of a service that speaks its protocol as a remote store. One that fails is left
 * alone for a while; reading and writing are judged apart, since credentials may allow only one.
 */
export class S3RemoteStore implements RemoteStore, AsyncDisposable {
  readonly name: string
  readonly #client: S3Client
  readonly #prefix: string
  readonly #canWrite: boolean
  readonly #reads: CircuitBreaker
  readonly #writes: CircuitBreaker
  /** False once the service said that it does not know conditional writes. */
  #hasConditions = true

  private constructor(
    components: { readonly client: S3Client },
    { location, onChange }: S3StoreInit,
  ) {
    this.name = formatS3Location(location)
    this.#client = components.client
    this.#prefix = location.prefix
    this.#canWrite = location.access === 'write'
    const watch = (what: S3Change['what']): CircuitBreaker => {
      const tell = (isDown: boolean) => onChange?.({ what, isDown, reason: breaker.lastFailure })
      const breaker: CircuitBreaker = new CircuitBreaker({
        nowMs: () => performance.now(),
        onChange: tell,
      })
      return breaker
    }
    this.#reads = watch('reads')
    this.#writes = watch('writes')
  }

  /** Touches no network. Throws NoS3CredentialsError, InvalidS3UrlError, InvalidCaFileError. */
  static async open(
    components: { readonly around: AwsSurroundings },
    init: S3StoreInit,
  ): Promise<S3RemoteStore> {
    const settings = new AwsSettings(components.around, { profile: init.location.profile })
    return new S3RemoteStore({ client: await S3Client.open({ settings }, init) }, init)
  }

  canWrite(): boolean {
    return this.#canWrite
  }

  health(): S3Health {
    return {
      state: this.#reads.isOpen ? 'down' : 'on',
      readFailure: this.#reads.lastFailure,
      writeFailure: this.#writes.lastFailure,
    }
  }

  async fetchFile(
    module: ModuleVersion,
    part: 'mod' | 'info',
    options: Waiting,
  ): Promise<Uint8Array | undefined> {
    return await this.#fetchSmall(module, part, maxModBytes, options)
  }

  async fetchRecord(module: ModuleVersion, options: Waiting): Promise<RecordProof | undefined> {
    const bytes = await this.#fetchSmall(module, 'record', limits.maxRecordBytes, options)
    return bytes && parseRecordObject(module, bytes)
  }

  async fetchZip(
    module: ModuleVersion,
    sink: ByteSink,
    options: Waiting & { readonly onReset: () => Promise<void> },
  ): Promise<boolean> {
    const key = this.#keyOf(module, 'zip')
    if (key === undefined) return false
    return await this.#judged(this.#reads, options.signal, async (progress) => {
      const body = new ResumedBody(sink, options.onReset, progress)
      for (let restarts = 0; ; restarts++) {
        const answer = await this.#get({ key, headers: body.headers() }, options, progress)
        if (answer.kind === 'absent') return false
        try {
          await body.take(answer)
          return true
        } catch (error) {
          const mayGoOn = error instanceof FetchError && error.failure !== 'malformed'
          if (!mayGoOn || restarts >= limits.s3MaxRestarts) throw error
        }
      }
    })
  }

  async write(
    object: RemoteObject,
    options: Waiting & { readonly overwrite: boolean },
  ): Promise<'written' | 'exists'> {
    const { module, part } = object
    const key = this.#keyOf(module, part)
    if (key === undefined) return 'exists'
    return await this.#judged(this.#writes, options.signal, async (progress) => {
      // A large body is not sent in vain.
      if (part === 'zip' && !options.overwrite && (await this.#has(key, options))) return 'exists'
      return await this.#put(key, object, options, progress)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]()
  }

  async #fetchSmall(
    module: ModuleVersion,
    part: RemotePart,
    maxBytes: number,
    options: Waiting,
  ): Promise<Uint8Array | undefined> {
    const key = this.#keyOf(module, part)
    if (key === undefined) return undefined
    return await this.#judged(this.#reads, options.signal, async (progress) => {
      const answer = await this.#get({ key }, options, progress)
      return answer.kind === 'found'
        ? await collect(answer.body, { maxBytes, name: `${this.name}: ${part}` })
        : undefined
    })
  }

  async #get(
    request: Pick<S3Request, 'key' | 'headers'>,
    options: Waiting,
    progress: () => void,
  ): Promise<S3Answer> {
    return await retrying(options.signal, async () => {
      const answer = await this.#client.send({ method: 'GET', ...request }, options)
      progress()
      return answer
    })
  }

  async #has(key: string, options: Waiting): Promise<boolean> {
    const answer = await this.#client.send({ method: 'HEAD', key }, options)
    return answer.kind === 'found'
  }

  async #put(
    key: string,
    object: RemoteObject,
    options: Waiting & { readonly overwrite: boolean },
    progress: () => void,
  ): Promise<'written' | 'exists'> {
    const { body, headers, sha256 } = contentOf(object, progress)
    const isConditional = this.#hasConditions && !options.overwrite
    const condition = isConditional ? { 'if-none-match': '*' } : undefined
    const firstByteMs = limits.s3WriteAnswerMs
    const request = { method: 'PUT', key, body, sha256, firstByteMs } as const
    try {
      const answer = await this.#client.send(
        { ...request, headers: { ...headers, ...condition } },
        options,
      )
      await drain(answer)
      return answer.kind === 'refused' ? 'exists' : 'written'
    } catch (error) {
      const isUnknown = error instanceof FetchError && error.status === 501
      if (!isUnknown || !isConditional) throw error
      this.#hasConditions = false
      if (await this.#has(key, options)) return 'exists'
      return await this.#put(key, object, options, progress)
    }
  }

  /** Undefined for a name that is too long for S3: such an object is never there. */
  #keyOf(module: ModuleVersion, part: RemotePart): string | undefined {
    const key = objectKey(this.#prefix, module, part)
    return Buffer.byteLength(key) > limits.maxKeyBytes ? undefined : key
  }

  /** Runs one exchange unless the bucket is left alone, and takes note of how it went. Throws RemoteError. */
  async #judged<T>(
    breaker: CircuitBreaker,
    signal: AbortSignal,
    work: (progress: () => void) => Promise<T>,
  ): Promise<T> {
    signal.throwIfAborted()
    if (!breaker.admit()) {
      throw unable(`${this.name}: failed a moment ago: ${breaker.lastFailure ?? ''}`)
    }
    let progressMs = performance.now()
    try {
      const result = await work(() => {
        progressMs = performance.now()
      })
      breaker.succeeded()
      return result
    } catch (error) {
      const isLate = performance.now() - progressMs > limits.s3SlowMs
      if (signal.aborted && isLate) breaker.failed('did not answer in time')
      else if (signal.aborted || !(error instanceof FetchError)) breaker.ended()
      else if (error.failure === 'malformed') breaker.succeeded()
      else breaker.failed(error.message)
      throw this.#explain(error, signal)
    }
  }

  #explain(error: unknown, signal: AbortSignal): unknown {
    if (signal.aborted || !(error instanceof FetchError)) return error
    const fault = error.failure === 'malformed' ? 'wrong' : 'unable'
    return new RemoteError(`${this.name}: ${error.message}`, { fault, cause: error })
  }
}

/** Tries again what may well succeed a moment later. */
async function retrying<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await attempt()
    } catch (error) {
      if (tries >= limits.s3MaxRetries || !isRetryable(error)) throw error
      await sleepUntilAborted(backoffPauseMs(limits.s3BackoffMs, tries), signal)
    }
  }
}

async function drain(answer: S3Answer): Promise<void> {
  for await (const _ of answer.body) {
    // A kept connection is free again when its answer was read.
  }
}

function unable(message: string): RemoteError {
  return new RemoteError(message, { fault: 'unable' })
}

import { type Validator, ValidatorUnavailableError, type ValidatorVerdict } from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { type Dispatcher, request } from 'undici'
import { urlCredential } from '../basic-auth.ts'
import { maxDetailBytes, validatorMs } from '../limits.ts'
import { Dispatchers } from '../upstream/dispatchers.ts'
import { readStart } from '../upstream/read-start.ts'

/** Where a validator is and how long it may take. */
export interface HttpValidatorInit {
  /** http or https; user name and password in it become Basic authorization. */
  readonly url: URL
  /** Certificates trusted in addition, PEM. */
  readonly caFile?: string | undefined
  readonly userAgent?: string
  /** Longest wait for one answer, ms. */
  readonly timeoutMs?: number
}

/**
 * Asks a validator as Athens does: POST of the module and version as JSON; 200 allows, 403 denies with its text as the
 * reason, everything else is no answer. Redirects are not followed.
 */
export class HttpValidator implements Validator, AsyncDisposable {
  readonly #dispatchers: Dispatchers
  readonly #url: URL
  readonly #headers: Readonly<Record<string, string>>
  readonly #timeoutMs: number

  /** Throws InvalidCaFileError. */
  constructor(init: HttpValidatorInit) {
    this.#timeoutMs = init.timeoutMs ?? validatorMs
    const { caFile } = init
    const limits = {
      connectMs: this.#timeoutMs,
      firstByteMs: this.#timeoutMs,
      stallMs: this.#timeoutMs,
    }
    this.#dispatchers = new Dispatchers({ caFile, limits })
    this.#url = new URL(init.url)
    this.#url.username = ''
    this.#url.password = ''
    const authorization = urlCredential(init.url)
    this.#headers = {
      'content-type': 'application/json',
      'user-agent': init.userAgent ?? 'modmesh',
      ...(authorization === undefined ? {} : { authorization }),
    }
  }

  async check(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<ValidatorVerdict> {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(this.#timeoutMs)])
    try {
      const { statusCode, body } = await this.#post(module, signal)
      // No more than people will be shown; the rest is not waited for.
      const { bytes, failure } = await readStart(body, maxDetailBytes)
      if (failure !== undefined) throw failure
      const text = bytes.toString('utf8')
      if (statusCode === 200) return { kind: 'allowed' }
      if (statusCode === 403) return { kind: 'denied', reason: text.trim() || 'no reason given' }
      throw new ValidatorUnavailableError(`${this.#name(module)}: it answered ${statusCode}`)
    } catch (error) {
      options.signal.throwIfAborted()
      if (error instanceof ValidatorUnavailableError) throw error
      throw new ValidatorUnavailableError(`${this.#name(module)}: no answer`, { cause: error })
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#dispatchers[Symbol.asyncDispose]()
  }

  #post({ path, version }: ModuleVersion, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    return request(this.#url, {
      method: 'POST',
      headers: this.#headers,
      // Athens writes the names with capitals; readers that know only one spelling find theirs.
      body: JSON.stringify({ module: path, version, Module: path, Version: version }),
      dispatcher: this.#dispatchers.for(this.#url),
      signal,
    })
  }

  /** Without path and query: they may hold a secret. */
  #name(module: ModuleVersion): string {
    return `${formatModuleVersion(module)}: validator ${this.#url.origin}`
  }
}

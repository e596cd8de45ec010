import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { getCACertificates } from 'node:tls'
import { Agent, type Dispatcher, EnvHttpProxyAgent } from 'undici'
import { InvalidCaFileError } from '../errors.ts'
import { isLoopbackHost } from '../host.ts'
import { maxHeaderBytes, maxOriginConnections } from '../limits.ts'

/** Time limits of one attempt, ms. */
export interface AttemptLimits {
  readonly connectMs: number
  readonly firstByteMs: number
  readonly stallMs: number
}

/**
 * The connections to upstreams: kept alive, HTTP/1.1 (zips over HTTP/2 were seen to break in the middle), through
 * HTTP_PROXY and HTTPS_PROXY but never for this machine itself.
 */
export class Dispatchers implements AsyncDisposable {
  readonly #direct: Agent
  readonly #proxied: EnvHttpProxyAgent

  /** Throws InvalidCaFileError. */
  constructor(init: { readonly caFile?: string | undefined; readonly limits: AttemptLimits }) {
    const tls = init.caFile === undefined ? {} : { ca: readCaFile(init.caFile) }
    const options = {
      allowH2: false,
      connections: maxOriginConnections,
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: init.limits.firstByteMs,
      bodyTimeout: init.limits.stallMs,
      connectTimeout: init.limits.connectMs,
      connect: { ...tls, timeout: init.limits.connectMs },
    }
    this.#direct = new Agent(options)
    this.#proxied = new EnvHttpProxyAgent({ ...options, requestTls: { ...tls, allowH2: false } })
  }

  for(url: URL): Dispatcher {
    return isLoopbackHost(url.hostname) ? this.#direct : this.#proxied
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#direct.destroy(), this.#proxied.destroy()])
  }
}

/** The given certificates in addition to those that are trusted anyway. */
function readCaFile(path: string): string[] {
  let pem: string
  try {
    pem = readFileSync(path, 'utf8')
    new X509Certificate(pem)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidCaFileError(`no usable certificate in ${path}: ${reason}`, { cause })
  }
  return [...getCACertificates('default'), pem]
}

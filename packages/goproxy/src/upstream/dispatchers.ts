import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, getCACertificates } from 'node:tls'
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

interface Agents {
  readonly direct: Agent
  readonly proxied: EnvHttpProxyAgent
}

/**
 * The connections to upstreams: kept alive, HTTP/1.1 (zips over HTTP/2 were seen to break in the middle), through
 * HTTP_PROXY and HTTPS_PROXY but never for this machine itself.
 */
export class Dispatchers implements AsyncDisposable {
  readonly #limits: AttemptLimits
  readonly #extraCa: string | undefined
  readonly #plain: Agents
  /** Made when the first https upstream is asked: reading the system's authorities takes 50 ms. */
  #secure: Agents | undefined

  /** Throws InvalidCaFileError. */
  constructor(init: { readonly caFile?: string | undefined; readonly limits: AttemptLimits }) {
    this.#limits = init.limits
    this.#extraCa = init.caFile === undefined ? undefined : readCaFile(init.caFile)
    this.#plain = this.#makeAgents({})
  }

  for(url: URL): Dispatcher {
    const { direct, proxied } = url.protocol === 'https:' ? this.#secureAgents() : this.#plain
    return isLoopbackHost(url.hostname) ? direct : proxied
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const all = [this.#plain, ...(this.#secure === undefined ? [] : [this.#secure])]
    const agents = all.flatMap(({ direct, proxied }) => [direct, proxied])
    await Promise.all(agents.map((agent) => agent.destroy()))
  }

  #secureAgents(): Agents {
    // One context for all connections: making one takes 10 ms.
    this.#secure ??= this.#makeAgents({
      secureContext: createSecureContext({ ca: trustedAuthorities(this.#extraCa) }),
    })
    return this.#secure
  }

  #makeAgents(tls: { readonly secureContext?: ReturnType<typeof createSecureContext> }): Agents {
    const { connectMs, firstByteMs, stallMs } = this.#limits
    const options = {
      allowH2: false,
      connections: maxOriginConnections,
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: firstByteMs,
      bodyTimeout: stallMs,
      connectTimeout: connectMs,
      connect: { ...tls, timeout: connectMs },
    }
    return {
      direct: new Agent(options),
      proxied: new EnvHttpProxyAgent({
        ...options,
        requestTls: { ...tls, allowH2: false },
        proxyTls: tls,
      }),
    }
  }
}

/** As `go`, the system's authorities count (a company's own among them); then Node's, then the user's. */
function trustedAuthorities(extra: string | undefined): string[] {
  const known = new Set([...getCACertificates('system'), ...getCACertificates('default')])
  return [...known, ...(extra === undefined ? [] : [extra])]
}

/** Reads PEM, one certificate or several. */
function readCaFile(path: string): string {
  try {
    const pem = readFileSync(path, 'utf8')
    new X509Certificate(pem)
    return pem
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new InvalidCaFileError(`no usable certificate in ${path}: ${reason}`, { cause })
  }
}

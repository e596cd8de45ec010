import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { Agent, type Dispatcher, Pool, ProxyAgent } from 'undici'
import { InvalidCaFileError } from '../errors.ts'
import { keepUpstreamMs, maxHeaderBytes, maxOriginConnections } from '../limits.ts'
import { readEnvProxies } from './env-proxies.ts'

/** Time limits of one attempt, ms. */
export interface AttemptLimits {
  readonly connectMs: number
  readonly firstByteMs: number
  readonly stallMs: number
}

/** Who is asked and through whom. */
export interface DispatchersInit {
  readonly caFile?: string | undefined
  readonly limits: AttemptLimits
  /** Where HTTP_PROXY, HTTPS_PROXY and NO_PROXY are read. Default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/**
 * The connections to upstreams: kept alive, through the proxies of the environment. HTTP/1.1 only: why is written in
 * docs/decisions/0002-http2-to-upstreams.md.
 */
export class Dispatchers implements AsyncDisposable {
  readonly #limits: AttemptLimits
  readonly #extraCa: string | undefined
  readonly #proxyFor: (url: URL) => URL | undefined
  /** By whether TLS is spoken and, for proxied ones, the proxy's URL. */
  readonly #agents = new Map<string, Dispatcher>()
  #context: SecureContext | undefined

  /** Throws InvalidCaFileError, InvalidEnvProxyError. */
  constructor(init: DispatchersInit) {
    this.#limits = init.limits
    this.#extraCa = init.caFile === undefined ? undefined : readCaFile(init.caFile)
    this.#proxyFor = readEnvProxies(init.env ?? process.env)
  }

  for(url: URL): Dispatcher {
    const proxy = this.#proxyFor(url)
    const isSecure = url.protocol === 'https:' || proxy?.protocol === 'https:'
    const key = `${isSecure} ${proxy?.href ?? ''}`
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    // Without need no context is made: reading the system's authorities takes 50 ms.
    const tls = isSecure ? { secureContext: this.#secureContext() } : {}
    const agent = proxy === undefined ? this.#direct(tls) : this.#proxied(proxy, tls)
    this.#agents.set(key, agent)
    return agent
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#agents.values(), (agent) => agent.destroy()))
  }

  #direct(tls: { readonly secureContext?: SecureContext }): Agent {
    const { connectMs } = this.#limits
    return new Agent({ ...this.#options(), connect: { ...tls, timeout: connectMs } })
  }

  #proxied(proxy: URL, tls: { readonly secureContext?: SecureContext }): ProxyAgent {
    const { connectMs } = this.#limits
    return new ProxyAgent({
      ...this.#options(),
      uri: proxy.href,
      requestTls: { ...tls, allowH2: false },
      proxyTls: { ...tls, allowH2: false },
      // The proxy's own answer to CONNECT: it connects for us meanwhile.
      clientFactory: (origin, options) =>
        new Pool(origin, { ...options, headersTimeout: 2 * connectMs }),
      factory: (origin, options: Pool.Options) =>
        new Pool(origin, { ...this.#options(), ...options }),
    })
  }

  #options(): Agent.Options {
    const { connectMs, firstByteMs, stallMs } = this.#limits
    return {
      allowH2: false,
      connections: maxOriginConnections,
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: firstByteMs,
      bodyTimeout: stallMs,
      connectTimeout: connectMs,
      keepAliveTimeout: keepUpstreamMs,
    }
  }

  /** One context for all connections: making one takes 10 ms. */
  #secureContext(): SecureContext {
    this.#context ??= createSecureContext({ ca: trustedAuthorities(this.#extraCa) })
    return this.#context
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

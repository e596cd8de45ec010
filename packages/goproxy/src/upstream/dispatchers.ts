import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls'
import { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent } from 'undici'
import { InvalidCaFileError } from '../errors.ts'
import * as limits from '../limits.ts'
import { readEnvProxies } from './env-proxies.ts'
import { NoH2Error } from './no-h2-error.ts'
import type { Protocol } from './origin-protocols.ts'

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

type Connect = buildConnector.connector
type Tls = { readonly secureContext?: SecureContext }

/** The connections to upstreams: kept alive, through the proxies of the environment, apart for each protocol. */
export class Dispatchers implements AsyncDisposable {
  readonly #limits: AttemptLimits
  readonly #extraCa: string | undefined
  readonly #proxyFor: (url: URL) => URL | undefined
  /** By whether TLS is spoken, the protocol and, for proxied ones, the proxy's URL. */
  readonly #agents = new Map<string, Dispatcher>()
  #context: SecureContext | undefined

  /** Throws InvalidCaFileError, InvalidEnvProxyError. */
  constructor(init: DispatchersInit) {
    this.#limits = init.limits
    this.#extraCa = init.caFile === undefined ? undefined : readCaFile(init.caFile)
    this.#proxyFor = readEnvProxies(init.env ?? process.env)
  }

  /** For `h2` requests fail with NoH2Error where ALPN does not choose that; plain http never does. */
  for(url: URL, protocol: Protocol = 'h1'): Dispatcher {
    const proxy = this.#proxyFor(url)
    const isSecure = url.protocol === 'https:' || proxy?.protocol === 'https:'
    const key = `${isSecure} ${protocol} ${proxy?.href ?? ''}`
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    // Without need no context is made: reading the system's authorities takes 50 ms.
    const tls = isSecure ? { secureContext: this.#secureContext() } : {}
    const agent =
      proxy === undefined ? this.#direct(tls, protocol) : this.#proxied(proxy, tls, protocol)
    this.#agents.set(key, agent)
    return agent
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#agents.values(), (agent) => agent.destroy()))
  }

  #direct(tls: Tls, protocol: Protocol): Agent {
    const connect = { ...tls, timeout: this.#limits.connectMs }
    const options = this.#options(protocol)
    if (protocol === 'h1') return new Agent({ ...options, connect })
    return new Agent({
      ...options,
      factory: (origin) => h2Pool(origin, buildConnector({ ...connect, ...offeringH2 }), options),
    })
  }

  #proxied(proxy: URL, tls: Tls, protocol: Protocol): ProxyAgent {
    const { connectMs } = this.#limits
    const own = this.#options(protocol)
    return new ProxyAgent({
      ...own,
      uri: proxy.href,
      requestTls: { ...tls, ...(protocol === 'h1' ? { allowH2: false } : offeringH2) },
      proxyTls: { ...tls, allowH2: false },
      // The proxy's own answer to CONNECT: it connects for us meanwhile.
      clientFactory: (origin, options) =>
        new Pool(origin, { ...options, allowH2: false, headersTimeout: 2 * connectMs }),
      factory: (origin, options: Pool.Options) => {
        const all = { ...own, ...options }
        const { connect } = all
        const isTunnel = protocol === 'h2' && typeof connect === 'function'
        return isTunnel ? h2Pool(origin, connect, all) : new Pool(origin, all)
      },
    })
  }

  #options(protocol: Protocol): Pool.Options {
    const { connectMs, firstByteMs, stallMs } = this.#limits
    return {
      ...(protocol === 'h1' ? { allowH2: false } : h2Options),
      connections: limits.maxOriginConnections,
      maxHeaderSize: limits.maxHeaderBytes,
      headersTimeout: firstByteMs,
      bodyTimeout: stallMs,
      connectTimeout: connectMs,
      keepAliveTimeout: limits.keepUpstreamMs,
    }
  }

  /** One context for all connections: making one takes 10 ms. */
  #secureContext(): SecureContext {
    this.#context ??= createSecureContext({ ca: trustedAuthorities(this.#extraCa) })
    return this.#context
  }
}

/** Servers that go by the client's order would choose HTTP/1.1 otherwise. */
const offeringH2 = { allowH2: true, preferH2: true } as const

const h2Options: Pool.Options = {
  allowH2: true,
  // Not in h2Options: undici 8.12 reads it from here only.
  initialWindowSize: limits.h2StreamWindowBytes,
  h2Options: {
    connectionWindowSize: limits.h2ConnectionWindowBytes,
    maxConcurrentStreams: limits.maxH2Streams,
    // Idle connections close before the first one would be due, and each is one more way to fail.
    pingInterval: 0,
  },
}

/** One connection finds out what ALPN chooses while all requests wait; what comes of it is for all of them. */
function h2Pool(url: URL | string, connect: Connect, options: Pool.Options): Pool {
  return new Pool(url, { ...options, connect: failTogether(onlyH2(connect)) })
}

function onlyH2(connect: Connect): Connect {
  return (options, callback) =>
    connect(options, (error, socket) => {
      if (error !== null) return callback(error, null)
      if ('alpnProtocol' in socket && socket.alpnProtocol === 'h2') return callback(null, socket)
      socket.destroy()
      callback(new NoH2Error(), null)
    })
}

/**
 * Hands a failed connection to every request that waits for it. Pool tries anew for each of them, one after another:
 * 64 requests to a host that is gone would take 64 time limits.
 */
function failTogether(connect: Connect): Connect {
  let failing: Error | undefined
  const fail = (error: Error, callback: buildConnector.Callback): void => {
    failing = error
    // Pool connects for the next request within this call.
    callback(error, null)
    failing = undefined
  }
  return (options, callback) => {
    if (failing !== undefined) {
      const error = failing
      queueMicrotask(() => fail(error, callback))
      return
    }
    connect(options, (error, socket) => {
      if (error !== null) fail(error, callback)
      else callback(null, socket)
    })
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

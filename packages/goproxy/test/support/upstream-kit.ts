import { parseModuleVersion } from '@modmesh/module'
import { FakeUpstream } from '../../../../test/support/fake-upstream.ts'
import {
  HttpFetcher,
  type HttpFetcherComponents,
  type HttpFetcherInit,
  HttpUpstream,
  type HttpUpstreamComponents,
  type HttpUpstreamInit,
  parseUpstreamRoutes,
} from '../../src/index.ts'

export const module = parseModuleVersion('example.com/Upper/mod', 'v1.0.0')
export const zipPath = '/example.com/!upper/mod/@v/v1.0.0.zip'
export const modPath = '/example.com/!upper/mod/@v/v1.0.0.mod'

/** Large enough to be cut in the middle. */
const large = Buffer.alloc(300_000, 'modmesh')

/** How a list is asked: what is not given is as in production, but for short pauses and time to connect. */
export type AskInit = HttpFetcherInit &
  Partial<Omit<HttpUpstreamInit, 'upstreams'>> &
  Pick<HttpUpstreamComponents, 'direct'> &
  HttpFetcherComponents

/** A zip as it arrived. */
export interface Fetched {
  readonly bytes: Buffer
  readonly resets: number
  readonly from: string
}

/** Fake upstreams that have `module`, and those who ask them; all end together. */
export class UpstreamKit implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack()

  async startFake(): Promise<FakeUpstream> {
    const files = { 'go.mod': 'module example.com/Upper/mod\n', large }
    const zip = { all: { method: 'store' } } as const
    return this.#stack.use(await FakeUpstream.start({ modules: [{ ...module, files, zip }] }))
  }

  ask(list: string, { direct, credentials, via, ...init }: AskInit = {}): HttpUpstream {
    const http = this.#stack.use(
      new HttpFetcher(
        { ...(credentials && { credentials }), ...(via && { via }) },
        { backoffMs: 1, ...init, limits: { connectMs: 30_000, ...init.limits } },
      ),
    )
    const upstreams = parseUpstreamRoutes(list, { otherwise: 'off' })
    return new HttpUpstream(
      { http, ...(direct && { direct }) },
      { upstreams, offline: false, ...init },
    )
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

/** Fetches the zip of `module` as a fill does. */
export async function fetchZip(
  upstream: HttpUpstream,
  options: { readonly signal: AbortSignal },
): Promise<Fetched> {
  let chunks: Uint8Array[] = []
  let resets = 0
  const sink = {
    write: async (chunk: Uint8Array) => {
      chunks.push(Buffer.from(chunk))
    },
  }
  const onReset = async (): Promise<void> => {
    chunks = []
    resets++
  }
  const { from } = await upstream.fetchZip(module, sink, { ...options, onReset })
  return { bytes: Buffer.concat(chunks), resets, from }
}

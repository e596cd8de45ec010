import type { Answer, AskOptions, FillKind, ModuleSource } from '@modmesh/fill'
import type { ModuleVersion } from '@modmesh/module'
import { InvalidRequestTargetError } from '../errors.ts'
import type { ProxyRequest } from '../request-path.ts'
import { headersOf, immutableHeaders } from './headers.ts'
import { bytesBody, type Reply, textReply } from './reply.ts'
import { setupPage } from './setup-page.ts'
import { errorReply } from './status.ts'
import { answerSumdb, type SumdbAnswers } from './sumdb-routes.ts'

/** What the node adds beside the protocol: `/-/healthz` and the like. */
export interface ExtraPages {
  /** The page at a path, or undefined when there is none. */
  get(path: string, query: URLSearchParams): ExtraPage | undefined | Promise<ExtraPage | undefined>
}

export interface ExtraPage {
  readonly status: number
  /** Media type. */
  readonly type: string
  readonly body: string | Uint8Array
}

export interface HandlerComponents {
  readonly source: ModuleSource
  readonly databases: readonly SumdbAnswers[]
  readonly pages: ExtraPages
}

/** Answers one request, one function per route. Errors are the caller's to turn into a status. */
export function answerRequest(
  components: HandlerComponents,
  request: ProxyRequest,
  options: {
    readonly baseUrl: string
    /** Where the request came from, without port. */
    readonly address: string
    /** What follows the `?`, for pages: the protocol has none. */
    readonly query: string
    readonly signal: AbortSignal
  },
): Promise<Reply> {
  if (request.kind === 'page') return answerPage(components.pages, request.path, options)
  if (request.cachedOnly) return unremembered(answerModule(components, request, options))
  return answerModule(components, request, options)
}

/** What is not held now may be fetched at any moment: for others who ask under the same URL, without the header. */
async function unremembered(answer: Promise<Reply>): Promise<Reply> {
  try {
    return await answer
  } catch (error) {
    const reply = errorReply(error)
    if (reply.status !== 404) throw error
    return { ...reply, headers: { ...reply.headers, 'cache-control': 'no-store' } }
  }
}

function answerModule(
  components: HandlerComponents,
  request: Exclude<ProxyRequest, { readonly kind: 'page' }>,
  options: { readonly address: string; readonly signal: AbortSignal },
): Promise<Reply> {
  const { source } = components
  const asker = { kind: 'client', address: options.address } as const
  const ask: AskOptions = { signal: options.signal, cachedOnly: request.cachedOnly, asker }
  switch (request.kind) {
    case 'zip':
      return answerZip(source, request.module, ask)
    case 'mod':
      return answerFile('mod', source.mod(request.module, ask))
    case 'info':
      return answerFile('info', source.info(request.module, ask))
    case 'list':
      return answerFile('list', source.list(request.path, ask))
    case 'latest':
      return answerFile('latest', source.latest(request.path, ask))
    case 'query':
      return answerFile('query', source.query(request.path, request.query, ask))
    default:
      return answerSumdb(components, request, ask)
  }
}

async function answerZip(
  source: ModuleSource,
  module: ModuleVersion,
  ask: AskOptions,
): Promise<Reply> {
  const { value: zip, source: from } = await source.zip(module, ask)
  return {
    status: 200,
    headers: immutableHeaders(from, 'application/zip', zip.zipDigest),
    body: { size: zip.size, read: (range) => zip.read(range) },
  }
}

async function answerFile(
  what: Exclude<FillKind, 'zip'>,
  asked: Promise<Answer<Uint8Array>>,
): Promise<Reply> {
  const answer = await asked
  return { status: 200, headers: headersOf(what, answer), body: bytesBody(answer.value) }
}

async function answerPage(
  pages: ExtraPages,
  path: string,
  { baseUrl, query }: { readonly baseUrl: string; readonly query: string },
): Promise<Reply> {
  if (path === '/') return textReply(200, setupPage(baseUrl), { 'cache-control': 'no-store' })
  const page = await pages.get(path, new URLSearchParams(query))
  if (page === undefined) throw new InvalidRequestTargetError('no such page')
  const body = typeof page.body === 'string' ? new TextEncoder().encode(page.body) : page.body
  return {
    status: page.status,
    headers: { 'content-type': page.type, 'cache-control': 'no-store' },
    body: bytesBody(body),
  }
}

import { type AskOptions, ModuleNotFoundError, type ModuleSource } from '@modmesh/fill'
import { formatModuleVersion, type ModulePath, type ModuleVersion } from '@modmesh/module'
import { SumdbNotFoundError, SumdbUnavailableError } from '@modmesh/sumdb'
import { PolicyError } from '../errors.ts'
import { supportedMs } from '../limits.ts'
import type { SumdbRequest } from '../request-path.ts'
import { isPartialTile } from '../tile-path.ts'
import { growingTileCache, mutableCache, sumdbCache } from './headers.ts'
import { bytesBody, type Reply, textReply } from './reply.ts'

/** A configured checksum database, answered from verified knowledge. */
export interface SumdbAnswers {
  readonly name: string
  /** False for paths that must not be looked up (private). */
  covers(path: ModulePath): boolean
  /** Whether a head was ever verified, or one can be had now: `supported` is a commitment. */
  canServe(options: { readonly signal: AbortSignal }): Promise<boolean>
  answerLookup(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array>
  answerTile(path: string, options: { readonly signal: AbortSignal }): Promise<Uint8Array>
  answerLatest(options: { readonly signal: AbortSignal }): Promise<Uint8Array>
}

interface SumdbRoutes {
  readonly source: Pick<ModuleSource, 'sums'>
  readonly databases: readonly SumdbAnswers[]
}

const plainText = 'text/plain; charset=utf-8'

/**
 * Answers `/sumdb/<name>/…`. Only configured names are served: an arbitrary host is never asked. Behind
 * `cached-only` no database is, because its answers may need the network.
 */
export async function answerSumdb(
  routes: SumdbRoutes,
  request: SumdbRequest,
  ask: AskOptions,
): Promise<Reply> {
  const database = routes.databases.find(({ name }) => name === request.database)
  if (database === undefined || request.cachedOnly) {
    throw new SumdbNotFoundError(`checksum database ${request.database} is not served here`)
  }
  switch (request.kind) {
    case 'sumdb-supported':
      return answerSupported(database, ask)
    case 'sumdb-lookup':
      return answerLookup(routes.source, database, request.module, ask)
    case 'sumdb-tile':
      return reply(
        await database.answerTile(request.tile, ask),
        'application/octet-stream',
        isPartialTile(request.tile) ? growingTileCache : `${sumdbCache}, immutable`,
      )
    case 'sumdb-latest':
      return reply(await database.answerLatest(ask), plainText, mutableCache)
  }
}

async function answerSupported(database: SumdbAnswers, ask: AskOptions): Promise<Reply> {
  if (await withinMs(supportedMs, database.canServe(ask))) {
    return textReply(200, '', { 'cache-control': 'no-store' })
  }
  // After a 200 `go` never asks anywhere else, so we must not promise what we cannot do (reference A8).
  return textReply(404, `${database.name}: no tree head was ever verified here\n`, {
    'cache-control': 'no-store',
  })
}

/** The answer, or false when it takes too long; it goes on and is there for the next who asks. */
async function withinMs(ms: number, answer: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

async function answerLookup(
  source: Pick<ModuleSource, 'sums'>,
  database: SumdbAnswers,
  module: ModuleVersion,
  ask: AskOptions,
): Promise<Reply> {
  if (!database.covers(module.path)) {
    throw new PolicyError(
      `${formatModuleVersion(module)} is private here and never looked up\nset GONOSUMDB to match`,
    )
  }
  await makeKnown(source, module, ask)
  return reply(await database.answerLookup(module, ask), plainText, sumdbCache)
}

/** Lets peers supply the record first; the database's own answer is the reason that is told. */
async function makeKnown(
  source: Pick<ModuleSource, 'sums'>,
  module: ModuleVersion,
  ask: AskOptions,
): Promise<void> {
  try {
    await source.sums(module, ask)
  } catch (error) {
    const reason = databaseReason(error)
    // Nobody could be asked: the error says what to do about it.
    if (reason !== undefined && error instanceof ModuleNotFoundError && !error.wasAsked) {
      throw new SumdbUnavailableError(error.message, { cause: reason })
    }
    throw reason ?? error
  }
}

function databaseReason(error: unknown): Error | undefined {
  const cause = error instanceof Error ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  const ofDatabase = typeof code === 'string' && code.startsWith('SUMDB_')
  return cause instanceof Error && ofDatabase ? cause : undefined
}

function reply(bytes: Uint8Array, type: string, cacheControl: string): Reply {
  return {
    status: 200,
    headers: { 'content-type': type, 'cache-control': cacheControl },
    body: bytesBody(bytes),
  }
}

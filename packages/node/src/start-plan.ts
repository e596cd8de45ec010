import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import {
  InvalidGoauthError,
  InvalidProxyListError,
  InvalidS3UrlError,
  parseGoauth,
  parseS3Url,
  parseUpstreamRoutes,
  routeFor,
  type S3Location,
  type UpstreamRoutes,
} from '@modmesh/goproxy'
import { type ModulePath, matchesPatterns, parsePatterns } from '@modmesh/module'
import { type Gosumdb, InvalidGosumdbError, parseGosumdb } from '@modmesh/sumdb'
import { errorCode, errorText } from './errors.ts'
import { defaultUpstream } from './options-sources.ts'
import { badOption, type ReadOptions } from './read-options.ts'
import type { Settings, TicketSource } from './settings.ts'

/** Settings that were checked as far as that is possible before anything is opened. */
export interface StartPlan {
  readonly settings: Settings
  readonly upstream: UpstreamRoutes
  readonly sumdb: Gosumdb
  readonly s3: S3Location | undefined
  readonly ticket: string | undefined
  readonly isPrivate: (path: ModulePath) => boolean
  readonly noproxy: (path: ModulePath) => boolean
}

/** A ticket is below 2 KiB; a larger file is the wrong file. Bytes. */
const maxTicketFileBytes = 64 * 1024

/** Checks what only the packages below can judge. Throws UsageError that names the option. */
export async function planStart(read: ReadOptions): Promise<StartPlan> {
  const { settings } = read
  const isPrivate = matcher(settings.private)
  checkGoauth(read)
  const upstream = planUpstream(read)
  // Who routes private paths to an upstream means it; a --noproxy that is written down wins.
  const isUnrouted = (path: ModulePath): boolean => routeFor(upstream.routes, path) === undefined
  return {
    settings,
    upstream,
    sumdb: planSumdb(read),
    s3: planS3(read),
    ticket: settings.join && (await readTicket(read, settings.join)),
    isPrivate,
    noproxy:
      settings.noproxy === undefined
        ? (path) => isPrivate(path) && isUnrouted(path)
        : matcher(settings.noproxy),
  }
}

function planUpstream(read: ReadOptions): UpstreamRoutes {
  try {
    return parseUpstreamRoutes(read.settings.upstream, { otherwise: defaultUpstream })
  } catch (error) {
    if (!(error instanceof InvalidProxyListError)) throw error
    throw badOption(read, 'upstream', error.message, { cause: error })
  }
}

function checkGoauth(read: ReadOptions): void {
  try {
    parseGoauth(read.settings.goauth)
  } catch (error) {
    if (!(error instanceof InvalidGoauthError)) throw error
    throw badOption(read, 'goauth', error.message, { cause: error })
  }
}

function planSumdb(read: ReadOptions): Gosumdb {
  try {
    return parseGosumdb(read.settings.sumdb)
  } catch (error) {
    if (!(error instanceof InvalidGosumdbError)) throw error
    throw badOption(read, 'sumdb', error.message, { cause: error })
  }
}

function planS3(read: ReadOptions): S3Location | undefined {
  const { s3 } = read.settings
  if (s3 === undefined) return undefined
  try {
    return parseS3Url(s3)
  } catch (error) {
    if (!(error instanceof InvalidS3UrlError)) throw error
    throw badOption(read, 's3', error.message, { cause: error })
  }
}

function matcher(globs: readonly string[]): (path: ModulePath) => boolean {
  const patterns = parsePatterns(globs.join(','))
  return (path) => matchesPatterns(patterns, path)
}

async function readTicket(read: ReadOptions, source: TicketSource): Promise<string> {
  const ticket = await ticketText(read, source)
  if (ticket.trim() === '') throw badOption(read, 'join', 'there is no ticket in it')
  return ticket
}

async function ticketText(read: ReadOptions, source: TicketSource): Promise<string> {
  switch (source.kind) {
    case 'ticket':
      return source.ticket
    case 'stdin':
      return await text(process.stdin)
    case 'file':
      try {
        const bytes = await readFile(source.path)
        if (bytes.length > maxTicketFileBytes) throw new Error('too large for a ticket')
        return bytes.toString('utf8')
      } catch (error) {
        const reason = errorCode(error) === 'ENOENT' ? 'does not exist' : errorText(error)
        throw badOption(read, 'join', `${source.path}: ${reason}`, { cause: error })
      }
  }
}

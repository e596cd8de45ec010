import type { ByteRange } from '@modmesh/fill'
import type { Reply } from './reply.ts'

/** The request headers that narrow an answer; one value each, as Node joins them. */
export interface Conditions {
  readonly range?: string | undefined
  readonly ifRange?: string | undefined
  readonly ifMatch?: string | undefined
  readonly ifNoneMatch?: string | undefined
}

/**
 * Applies conditions and ranges (RFC 9110 section 13.2.2) to a 200 answer. Times are no validators here: a
 * module's bytes have an ETag or nothing.
 */
export function narrowReply(reply: Reply, conditions: Conditions): Reply {
  const etag = reply.headers['etag']
  if (reply.status !== 200 || reply.body === undefined || etag === undefined) return reply
  if (etag.startsWith('W/')) return onlyIfChanged(reply, etag, conditions)
  const ranged = { ...reply, headers: { ...reply.headers, 'accept-ranges': 'bytes' } }
  if (conditions.ifMatch !== undefined && !listsEtag(conditions.ifMatch, etag, 'strong')) {
    return { status: 412, headers: keepOnValidation(reply.headers) }
  }
  if (conditions.ifNoneMatch !== undefined && listsEtag(conditions.ifNoneMatch, etag, 'weak')) {
    return { status: 304, headers: keepOnValidation(reply.headers) }
  }
  if (conditions.range === undefined) return ranged
  if (conditions.ifRange !== undefined && conditions.ifRange.trim() !== etag) return ranged
  return applyRange(ranged, reply.body.size, parseRange(conditions.range, reply.body.size))
}

/** A weak ETag names no bytes: it answers whether something changed, and no ranges. */
function onlyIfChanged(reply: Reply, etag: string, { ifNoneMatch }: Conditions): Reply {
  if (ifNoneMatch === undefined || !listsEtag(ifNoneMatch, etag, 'weak')) return reply
  return { status: 304, headers: keepOnValidation(reply.headers) }
}

/**
 * Reads a Range header with one range. `ignore` for what RFC 9110 14.2 lets a server ignore: other units,
 * several ranges, bad syntax; `unsatisfiable` when it begins behind the end.
 */
function parseRange(header: string, size: number): ByteRange | 'ignore' | 'unsatisfiable' {
  const equals = header.indexOf('=')
  if (equals < 0 || header.slice(0, equals).trim().toLowerCase() !== 'bytes') return 'ignore'
  const spec = header.slice(equals + 1).trim()
  const dash = spec.indexOf('-')
  if (dash < 0 || spec.includes(',')) return 'ignore'
  const first = parseOffset(spec.slice(0, dash))
  const last = parseOffset(spec.slice(dash + 1))
  if (first === 'bad' || last === 'bad') return 'ignore'
  if (first === undefined) return last === undefined ? 'ignore' : suffixRange(last, size)
  if (last !== undefined && last < first) return 'ignore'
  if (first >= size) return 'unsatisfiable'
  return { start: first, end: Math.min(size, (last ?? size - 1) + 1) }
}

function suffixRange(length: number, size: number): ByteRange | 'unsatisfiable' {
  if (length === 0 || size === 0) return 'unsatisfiable'
  return { start: Math.max(0, size - length), end: size }
}

function parseOffset(text: string): number | undefined | 'bad' {
  if (text === '') return undefined
  // 15 digits are more than any file and less than 2^53.
  if (text.length > 15) return 'bad'
  for (const char of text) if (char < '0' || char > '9') return 'bad'
  return Number(text)
}

function applyRange(
  reply: Reply,
  size: number,
  range: ByteRange | 'ignore' | 'unsatisfiable',
): Reply {
  const { body } = reply
  if (range === 'ignore' || body === undefined) return reply
  if (range === 'unsatisfiable') {
    return {
      status: 416,
      headers: { 'content-range': `bytes */${size}`, 'accept-ranges': 'bytes' },
    }
  }
  const { start, end } = range
  return {
    status: 206,
    headers: { ...reply.headers, 'content-range': `bytes ${start}-${end - 1}/${size}` },
    body: { size: end - start, read: () => body.read(range) },
  }
}

/** Whether an If-Match or If-None-Match value names the ETag; `*` names any. */
function listsEtag(header: string, etag: string, comparison: 'strong' | 'weak'): boolean {
  if (header.trim() === '*') return true
  return header.split(',').some((item) => {
    const tag = item.trim()
    return tag === etag || (comparison === 'weak' && strengthen(tag) === strengthen(etag))
  })
}

function strengthen(tag: string): string {
  return tag.startsWith('W/') ? tag.slice(2) : tag
}

function keepOnValidation(headers: Reply['headers']): Reply['headers'] {
  const kept = ['etag', 'cache-control', 'cache-status', 'age', 'warning']
  return Object.fromEntries(Object.entries(headers).filter(([name]) => kept.includes(name)))
}

import { createHash } from 'node:crypto'
import type { Answer, FillKind, Source } from '@modmesh/fill'
import { hashMod } from '@modmesh/module'

/** Lifetimes of answers, as goproxy's: what a version means never changes, what is newest does. */
const immutableCache = 'public, max-age=604800'
export const mutableCache = 'public, max-age=60'
export const sumdbCache = 'public, max-age=86400'
export const growingTileCache = 'public, max-age=3600'
/** What is answered for want of upstream's newest word may be better at any moment. */
const heldCache = 'no-cache'

type Headers = Readonly<Record<string, string>>

/** Cache-Status (RFC 9211): where a module answer came from. */
function formatCacheStatus(source: Source): string {
  switch (source.kind) {
    case 'store':
      return 'modmesh; hit'
    case 'peer':
      return `modmesh; fwd=miss; fwd-status=200; detail=${source.isFar ? 'wan' : 'peer'}`
    case 'remote':
      return 'modmesh; fwd=miss; fwd-status=200; detail=remote'
    case 'upstream':
      return 'modmesh; fwd=miss; fwd-status=200; detail=upstream'
    case 'direct':
      return 'modmesh; fwd=miss; fwd-status=200; detail=direct'
    case 'held':
      return 'modmesh; hit; detail=held'
    case 'stale':
      return `modmesh; hit; detail=stale-${source.why}`
  }
}

const plainText = 'text/plain; charset=utf-8'
const json = 'application/json'

/** Headers of an answer that is no zip. */
export function headersOf(what: Exclude<FillKind, 'zip'>, answer: Answer<Uint8Array>): Headers {
  const { value, source } = answer
  switch (what) {
    case 'mod':
      return { ...immutableHeaders(source, plainText, modTag(value)), 'accept-ranges': 'bytes' }
    case 'info':
      return immutableHeaders(source, json)
    case 'list':
      return mutableHeaders(answer, plainText)
    case 'latest':
    case 'query':
      return mutableHeaders(answer, json)
  }
}

/** Headers of what a version names for ever. */
export function immutableHeaders(source: Source, type: string, etag?: string): Headers {
  return {
    'content-type': type,
    'cache-control': immutableCache,
    'cache-status': formatCacheStatus(source),
    ...(etag === undefined ? {} : { etag: `"${etag}"` }),
  }
}

/** Headers of a list, `@latest` or query; an older one, or one that only says what is held, is marked as such. */
function mutableHeaders({ value, source, ageMs }: Answer<Uint8Array>, type: string): Headers {
  const warning = formatWarning(source)
  return {
    'content-type': type,
    'cache-control': warning === undefined ? mutableCache : heldCache,
    'cache-status': formatCacheStatus(source),
    etag: contentTag(value),
    ...(ageMs === undefined ? {} : { age: String(Math.floor(ageMs / 1_000)) }),
    ...(warning === undefined ? {} : { warning }),
  }
}

const isStale = '110 modmesh "Response is Stale"'
const isFailed = '111 modmesh "Revalidation Failed"'
const isOffline = '112 modmesh "Disconnected Operation"'

/** Warning (RFC 7234 5.5): that upstream was not heard for this answer, and why. */
function formatWarning(source: Source): string | undefined {
  if (source.kind === 'held') return isOffline
  if (source.kind !== 'stale') return undefined
  switch (source.why) {
    case 'slow':
    case 'not-asked':
      return isStale
    case 'failed':
      return `${isStale}, ${isFailed}`
    case 'offline':
      return `${isStale}, ${isOffline}`
  }
}

const contentTags = new WeakMap<Uint8Array, string>()
const modTags = new WeakMap<Uint8Array, string>()

/** A weak validator: for caches that ask again, not for parts of an answer that may change meanwhile. */
function contentTag(bytes: Uint8Array): string {
  return remember(contentTags, bytes, (content) => {
    return `W/"${createHash('sha256').update(content).digest('base64url')}"`
  })
}

/** The ETag of a go.mod: its hash, computed once for bytes that are served again and again. */
function modTag(bytes: Uint8Array): string {
  return remember(modTags, bytes, hashMod)
}

function remember(
  tags: WeakMap<Uint8Array, string>,
  bytes: Uint8Array,
  compute: (bytes: Uint8Array) => string,
): string {
  const known = tags.get(bytes)
  if (known !== undefined) return known
  const tag = compute(bytes)
  tags.set(bytes, tag)
  return tag
}

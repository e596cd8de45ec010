import type { Source } from '@modmesh/fill'

/** Lifetimes of answers, as goproxy's: what a version means never changes, what is newest does. */
const immutableCache = 'public, max-age=604800'
export const mutableCache = 'public, max-age=60'
export const sumdbCache = 'public, max-age=86400'
export const growingTileCache = 'public, max-age=3600'
/** The union of what is held may grow at any moment, when upstream is back or a peer comes. */
const heldCache = 'no-cache'

type Headers = Readonly<Record<string, string>>

/** Cache-Status (RFC 9211): where a module answer came from. */
function formatCacheStatus(source: Source): string {
  switch (source.kind) {
    case 'store':
      return 'modmesh; hit'
    case 'peer':
      return 'modmesh; fwd=miss; fwd-status=200; detail=peer'
    case 'remote':
      return 'modmesh; fwd=miss; fwd-status=200; detail=remote'
    case 'upstream':
      return 'modmesh; fwd=miss; fwd-status=200; detail=upstream'
    case 'held':
      return 'modmesh; hit; detail=held'
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

/** Headers of a list, `@latest` or query; one that only says what is held is marked as such. */
export function mutableHeaders(source: Source, type: string): Headers {
  const held = source.kind === 'held'
  return {
    'content-type': type,
    'cache-control': held ? heldCache : mutableCache,
    'cache-status': formatCacheStatus(source),
    // RFC 7234 5.5.3: the answer was made while cut off from the rest of the network.
    ...(held ? { warning: '112 modmesh "Disconnected Operation"' } : {}),
  }
}

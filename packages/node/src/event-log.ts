import { type FillEvent, ModuleNotFoundError, type OwnerOutcome, type Source } from '@modmesh/fill'
import { formatModuleVersion } from '@modmesh/module'
import type { StoreEvent } from '@modmesh/store'
import { errorCode, errorText } from './errors.ts'
import type { Logger } from './log.ts'
import { printableName } from './printable.ts'

/** Writes what the fill tells into the log: trouble is visible by default, answers at `--log debug`. */
export function logFillEvent(log: Logger, event: FillEvent): void {
  switch (event.kind) {
    case 'answered': {
      const { what, path, version, bytes } = event
      const tookMs = Math.round(event.tookMs)
      log.debug({ what, path, version, ...sourceFields(event.source), bytes, tookMs }, 'answered')
      return
    }
    case 'failed':
      logFailure(log, event)
      return
    case 'peer-blamed': {
      const module = formatModuleVersion(event.module)
      log.warn(
        { peer: event.peer, module, reason: printableName(event.reason) },
        'refused what a peer sent',
      )
      return
    }
    case 'owner-asked':
    case 'site-answered':
      logSite(log, event)
      return
    case 'peers-told':
    case 'zip-asked':
    case 'upstream-chosen':
      return // too many for a log: `modmesh why` shows them
    case 'upstream-refused':
    case 'published-refused':
    case 'remote-refused': {
      const module = formatModuleVersion(event.module)
      log.error({ module, reason: printableName(event.reason) }, refusalWords[event.kind])
      return
    }
    case 'hash-changed': {
      const module = formatModuleVersion(event.module)
      log.error({ module, reason: event.error.message }, 'changed since it was first seen, refused')
      return
    }
    case 'remote-write':
      logRemoteWrite(log, event)
      return
    case 'committed':
      log.debug({ module: formatModuleVersion(event.module), bytes: event.bytes }, 'kept')
      return
    case 'store-failed': {
      const module = formatModuleVersion(event.module)
      log.error({ module, reason: errorText(event.error) }, 'could not be kept')
      return
    }
  }
}

const refusalWords = {
  'upstream-refused': 'refused what upstream sent',
  'published-refused': 'refused what publishers say',
  'remote-refused': 'refused what the remote store sent',
} as const

/** What was fetched through others of the site, and for them. */
function logSite(
  log: Logger,
  event: Extract<FillEvent, { readonly kind: 'owner-asked' | 'site-answered' }>,
): void {
  const { what, path, version, outcome } = event
  const tookMs = Math.round(event.tookMs)
  const fields = { what, path, version, outcome, tookMs }
  if (event.kind === 'site-answered') {
    log.debug({ peer: event.peer, ...fields }, 'asked by a peer for the site')
  } else log.debug({ owner: event.owner, ...fields }, ownerWords(event.outcome))
}

function ownerWords(outcome: OwnerOutcome): string {
  return outcome === 'answered' ? 'fetched through the owner' : 'owner of no help, asked ourselves'
}

/** Trouble is told by `status` and, when it begins, by the remote store itself: not once per object. */
function logRemoteWrite(
  log: Logger,
  event: Extract<FillEvent, { readonly kind: 'remote-write' }>,
): void {
  const { part, outcome, error } = event
  const module = formatModuleVersion(event.module)
  const reason = error === undefined ? undefined : errorText(error)
  log.debug({ module, part, outcome, reason }, 'remote store')
}

function logFailure(log: Logger, event: Extract<FillEvent, { readonly kind: 'failed' }>): void {
  const { what, path, version, error } = event
  const code = errorCode(error)
  const fields = { what, path, version, code, reason: error.message }
  // "Not found" and a client that went away are daily life; upstream's trouble is in `status`, too.
  const isDaily = error instanceof ModuleNotFoundError || error.name === 'AbortError'
  if (isDaily) log.debug(fields, 'not answered')
  else if (code === 'UPSTREAM_UNAVAILABLE' || code === 'OFFLINE') log.info(fields, 'not answered')
  else log.warn(fields, 'not answered')
}

function sourceFields(source: Source): { readonly source: string; readonly from?: string } {
  switch (source.kind) {
    case 'peer':
      return { source: source.via ?? 'peer', from: source.peer }
    case 'remote':
    case 'upstream':
      return { source: source.kind, from: source.from }
    default:
      return { source: source.kind }
  }
}

/** Writes what the store tells into the log. */
export function logStoreEvent(log: Logger, event: StoreEvent): void {
  switch (event.kind) {
    case 'quarantined': {
      const module = event.module && formatModuleVersion(event.module)
      log.error({ path: event.path, module, reason: event.reason }, 'damaged, set aside')
      return
    }
    case 'record-damaged':
      log.error({ segment: event.segment, offset: event.offset }, 'damaged record, left out')
      return
    case 'index-rebuilt':
      log.info({ reason: event.reason }, 'index made anew from the files')
      return
    case 'index-failed':
      log.warn({ reason: errorText(event.error) }, 'index cannot be written')
      return
    case 'tidy-failed':
      log.warn({ path: event.path, reason: errorText(event.error) }, 'could not be tidied up')
      return
    case 'listener-failed':
      log.error({ reason: errorText(event.error) }, 'a listener of the store failed')
      return
    case 'evicted':
      log.info({ zips: event.zips, bytes: event.bytes }, 'longest unused zips removed')
      return
    case 'size-exceeded': {
      const { bytes, maxBytes, pinnedBytes } = event
      log.warn(
        { bytes, maxBytes, pinnedBytes },
        'larger than --max-size: the rest is pinned or in use',
      )
      return
    }
    case 'pins-lost':
      log.error({ path: event.path }, 'pins cannot be read: nothing is removed until you pin again')
      return
    case 'rewritten': {
      const module = formatModuleVersion(event.module)
      log.debug({ module, reason: event.reason }, 'zip kept in its plain form')
      return
    }
  }
}

import { ModuleNotFoundError } from '@modmesh/fill'
import {
  errorLineGapBytes,
  maxErrorBytes,
  maxErrorLineChars,
  maxErrorLines,
  minErrorLineChars,
} from '../limits.ts'
import { type Reply, textReply } from './reply.ts'

/** How an error is answered, and for how long others may remember that, seconds. */
interface ErrorAnswer {
  readonly status: number
  /** Undefined: our or upstream's trouble, not to be remembered. */
  readonly maxAge?: number
}

/**
 * Error code to HTTP status. 404 makes `go` ask the next proxy of its list, so it means absent only; trouble is
 * 5xx, policy 403 (reference A2).
 */
const answers: ReadonlyMap<string, ErrorAnswer> = new Map([
  ['INVALID_REQUEST_TARGET', { status: 404, maxAge: 86_400 }],
  ['INVALID_MODULE_PATH', { status: 404, maxAge: 86_400 }],
  ['INVALID_VERSION', { status: 404, maxAge: 86_400 }],
  ['MODULE_NOT_FOUND', { status: 404, maxAge: 60 }],
  ['SUMDB_NOT_FOUND', { status: 404, maxAge: 60 }],
  ['OFFLINE', { status: 404 }],
  ['POLICY', { status: 403 }],
  ['LOOP', { status: 508 }],
  ['UPSTREAM_UNAVAILABLE', { status: 502 }],
  ['UPSTREAM_REFUSED', { status: 502 }],
  ['HASH_MISMATCH', { status: 502 }],
  ['HASH_CHANGED', { status: 502 }],
  ['PUBLISHERS_DISAGREE', { status: 502 }],
  ['INVALID_FILE', { status: 502 }],
  ['ZIP_RULES', { status: 502 }],
  ['PEER', { status: 502 }],
  ['SUMDB_UNAVAILABLE', { status: 502 }],
  ['SUMDB_FORK', { status: 502 }],
  ['SUMDB_UNTRUSTED', { status: 502 }],
  ['NO_PROOF', { status: 503 }],
  ['VALIDATOR_UNAVAILABLE', { status: 503 }],
  ['FILL_CLOSED', { status: 503 }],
  ['STORE_WRITE', { status: 503 }],
  ['STORE_ACCESS', { status: 503 }],
  ['STORE_DAMAGED', { status: 503 }],
  ['ENOSPC', { status: 503 }],
  ['EMFILE', { status: 503 }],
  ['ENFILE', { status: 503 }],
])

/** Codes of a fill that ended without an answer: they are told in Cache-Status too (RFC 9211). */
const fillCodes: ReadonlySet<string> = new Set([
  'MODULE_NOT_FOUND',
  'OFFLINE',
  'UPSTREAM_UNAVAILABLE',
  'UPSTREAM_REFUSED',
  'HASH_MISMATCH',
  'HASH_CHANGED',
  'PUBLISHERS_DISAGREE',
  'ZIP_RULES',
  'PEER',
  'NO_PROOF',
  'FILL_CLOSED',
  'STORE_WRITE',
])

/** Codes of which more than the message's first line would not help: a fork prints two whole notes. */
const oneLineCodes: ReadonlySet<string> = new Set(['SUMDB_FORK'])

/** Turns any error into an answer: the one place that knows which error has which status. */
export function errorReply(error: unknown): Reply {
  const { status, maxAge } = answerOf(error)
  const text = status === 500 ? 'modmesh: internal error, see the log of the node\n' : undefined
  const code = codeOf(error) ?? ''
  return textReply(status, text ?? errorText(error), {
    'cache-control': maxAge === undefined ? 'no-store' : `public, max-age=${maxAge}`,
    ...(fillCodes.has(code) ? { 'cache-status': `modmesh; fwd=miss; detail=${code}` } : {}),
  })
}

/**
 * Writes what was tried as `go` will show it: at most eight printable ASCII lines, none blank, the causes after
 * the message (an error text of upstream may hold anything, terminal escapes included).
 */
export function errorText(error: unknown): string {
  const lines: string[] = []
  for (const message of messages(error, 0)) {
    for (const line of message.split('\n')) {
      const printable = toPrintable(line, maxErrorLineChars)
      if (printable !== '' && !lines.includes(printable)) lines.push(printable)
    }
  }
  return `${lines.length === 0 ? 'error' : shownLines(lines).join('\n')}\n`
}

/** As many as `go` shows: it leaves out a line that is too much, and all that follow. */
function shownLines(lines: readonly string[]): readonly string[] {
  const shown: string[] = []
  let room = maxErrorBytes
  for (const line of lines.slice(0, maxErrorLines)) {
    if (room < minErrorLineChars) break
    const cut = toPrintable(line, room)
    shown.push(cut)
    room -= cut.length + errorLineGapBytes
  }
  return shown
}

function answerOf(error: unknown): ErrorAnswer {
  if (isTimeout(error)) return { status: 504 }
  if (isUnasked(error)) return { status: 404 }
  return answers.get(codeOf(error) ?? '') ?? { status: 500 }
}

function isTimeout(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.name === 'TimeoutError' || ('timedOut' in error && error.timedOut === true)
}

/** Nobody was asked, so that nobody may remember it. */
function isUnasked(error: unknown): boolean {
  return error instanceof ModuleNotFoundError && !error.wasAsked
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

function messages(error: unknown, depth: number): readonly string[] {
  if (!(error instanceof Error) || depth > maxErrorLines) return []
  const own = oneLineCodes.has(codeOf(error) ?? '')
    ? [error.message.split('\n', 1)[0] ?? '']
    : [error.message]
  // An error of Node or of a library underneath speaks of sockets and paths, not to users.
  const causes = error instanceof AggregateError ? error.errors : [error.cause]
  const told = causes.filter((cause) => answers.has(codeOf(cause) ?? ''))
  return [...own, ...told.flatMap((cause) => messages(cause, depth + 1))]
}

function toPrintable(line: string, maxChars: number): string {
  let printable = ''
  for (const char of line) {
    if (printable.length >= maxChars) return `${printable.slice(0, -3)}...`
    printable += char === '\t' ? ' ' : char >= ' ' && char <= '~' ? char : '?'
  }
  return printable.trim()
}

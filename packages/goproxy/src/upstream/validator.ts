import { createHash } from 'node:crypto'
import { maxValidatorChars } from '../limits.ts'
import type { HttpAnswer } from './http-answer.ts'
import type { HttpEntry } from './proxy-list.ts'

/** By what an upstream tells whether a file is still the same (RFC 9110 section 8.8). */
export interface Validator {
  readonly etag: string | undefined
  /** An HTTP date, as given. */
  readonly lastModified: string | undefined
}

/** Writes the validators of an answer as opaque text, undefined when it has none. */
export function formatValidator(entry: HttpEntry, answer: HttpAnswer): string | undefined {
  const etag = usable(answer.header('etag'))
  const lastModified = usable(answer.header('last-modified'))
  if (etag === undefined && lastModified === undefined) return undefined
  return JSON.stringify([nameOf(entry), etag ?? '', lastModified ?? ''])
}

/** Reads what formatValidator wrote; undefined when it is another upstream's, or no validator. */
export function parseValidator(entry: HttpEntry, text: string): Validator | undefined {
  const fields = parseFields(text)
  if (fields === undefined || fields[0] !== nameOf(entry)) return undefined
  const etag = usable(fields[1])
  const lastModified = usable(fields[2])
  return etag === undefined && lastModified === undefined ? undefined : { etag, lastModified }
}

/** Names an upstream without its address: that may hold a secret, and this is kept on disk. */
function nameOf(entry: HttpEntry): string {
  return createHash('sha256').update(entry.origin).update(entry.basePath).digest('hex').slice(0, 16)
}

function parseFields(text: string): readonly unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : undefined
  } catch {
    // Not ours: the same as none.
    return undefined
  }
}

/** It goes back into a request header: printable ASCII only. */
function usable(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '' || value.length > maxValidatorChars)
    return undefined
  for (const char of value) if (char < ' ' || char > '~') return undefined
  return value
}

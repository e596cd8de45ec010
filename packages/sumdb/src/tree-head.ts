import { decodeBase64, encodeBase64, parseDecimal } from './bytes.ts'
import { SumdbUntrustedError } from './errors.ts'
import { maxTreeSize } from './limits.ts'
import { openNote, type VerifierKey } from './note.ts'
import { emptyRoot, equalHashes, hashBytes } from './tlog.ts'

/** A tree of the log: how many records, and their root hash. */
export interface TreeHead {
  readonly size: number
  readonly root: Uint8Array
}

/** A tree head whose signature was verified, with the note that shows it. */
export interface SignedHead extends TreeHead {
  readonly note: string
}

const firstLine = 'go.sum database tree'

/** Writes the text that a database signs (x/mod tlog.FormatTree). */
export function formatTreeHead(head: TreeHead): string {
  return `${firstLine}\n${head.size}\n${encodeBase64(head.root)}\n`
}

/**
 * Parses the text of a tree note; lines after the third are left to later versions and never read
 * (design 25530, x/mod tlog.ParseTree). Throws SumdbUntrustedError.
 */
export function parseTreeHead(text: string): TreeHead {
  const [first, count, hash, rest] = text.split('\n', 4)
  const size = parseDecimal(count ?? '', maxTreeSize)
  const root = decodeBase64(hash ?? '')
  if (first !== firstLine || rest === undefined || size === undefined || root === undefined) {
    throw new SumdbUntrustedError('malformed tree note')
  }
  if (root.length !== hashBytes || (size === 0 && !equalHashes(root, emptyRoot))) {
    throw new SumdbUntrustedError('malformed root hash in tree note')
  }
  return { size, root }
}

/** Verifies a signed tree head. Throws SumdbUntrustedError. */
export function openTreeHead(note: string, key: VerifierKey): SignedHead {
  const opened = openNote(note, key)
  return { ...parseTreeHead(opened.text), note: opened.note }
}

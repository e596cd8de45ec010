import { decodeBase64, decodeText, encodeBase64, parseDecimal } from './bytes.ts'
import { SumdbUntrustedError } from './errors.ts'
import { maxProofHashes, maxTreeSize } from './limits.ts'
import type { RecordProof } from './proven-sums.ts'
import { hashBytes } from './tlog.ts'

const firstLine = 'modmesh record 1'

/** Writes a record with its proof as kept in the cache: id and hashes, blank line, record, blank line, note. */
export function formatStoredRecord(record: Omit<RecordProof, 'database'>): Uint8Array {
  const header = [firstLine, String(record.id), ...record.hashes.map(encodeBase64)]
  return Buffer.from(`${header.join('\n')}\n\n${record.text}\n${record.head}`)
}

/** Parses what formatStoredRecord wrote; the proof is still to be checked. Throws SumdbUntrustedError. */
export function parseStoredRecord(bytes: Uint8Array): Omit<RecordProof, 'database'> {
  const stored = decodeText(bytes, 'stored record')
  const headerEnd = stored.indexOf('\n\n')
  const textEnd = stored.indexOf('\n\n', headerEnd + 2)
  const [first, number, ...lines] = stored.slice(0, Math.max(0, headerEnd)).split('\n')
  const id = parseDecimal(number ?? '', maxTreeSize)
  if (first !== firstLine || id === undefined || textEnd < 0) {
    throw new SumdbUntrustedError('malformed stored record')
  }
  const text = stored.slice(headerEnd + 2, textEnd + 1)
  return { id, hashes: parseHashes(lines), text, head: stored.slice(textEnd + 2) }
}

function parseHashes(lines: readonly string[]): Uint8Array[] {
  return lines.map((line) => {
    const bytes = decodeBase64(line)
    if (lines.length > maxProofHashes || bytes?.length !== hashBytes) {
      throw new SumdbUntrustedError('malformed proof in stored record')
    }
    return bytes
  })
}

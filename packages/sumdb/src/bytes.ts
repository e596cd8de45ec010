import { SumdbUntrustedError } from './errors.ts'

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Decodes UTF-8 exactly, a byte order mark included. Throws SumdbUntrustedError. */
export function decodeText(bytes: Uint8Array, what: string): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new SumdbUntrustedError(`${what} is not UTF-8`, { cause })
  }
}

/** True when the text is well-formed Unicode without control characters other than LF. */
export function isPlainText(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit < 0x20 && unit !== 0x0a) return false
  }
  return text.isWellFormed()
}

/** Decodes padded standard base64 in its one canonical spelling; anything else is undefined. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** Encodes as padded standard base64. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** Parses a decimal number without sign or leading zeros, at most `max`; anything else is undefined. */
export function parseDecimal(text: string, max: number): number | undefined {
  if (text.length === 0 || text.length > 16) return undefined
  if (text.length > 1 && text.startsWith('0')) return undefined
  let value = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  return value <= max ? value : undefined
}

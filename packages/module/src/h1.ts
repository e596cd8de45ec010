import { InvalidHashError } from './errors.ts'

/** Length of `h1:` and 32 bytes in padded base64. */
const h1Length = 47

/** Parses `h1:` and its 32 bytes; only the one canonical spelling passes. Throws InvalidHashError. */
export function parseH1(text: string): Uint8Array {
  if (text.length !== h1Length || !text.startsWith('h1:')) throw new InvalidHashError(text)
  const bytes = decodeBase64(text.slice(3))
  if (bytes?.length !== 32 || formatH1(bytes) !== text) throw new InvalidHashError(text)
  return bytes
}

/** Writes 32 bytes as `h1:` and base64. */
export function formatH1(digest: Uint8Array): string {
  return `h1:${btoa(String.fromCharCode(...digest))}`
}

function decodeBase64(text: string): Uint8Array | undefined {
  for (let i = 0; i < text.length; i++) {
    if (!base64Chars.has(text.charAt(i))) return undefined
  }
  if (text.indexOf('=') !== text.length - 1) return undefined
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
}

const base64Chars = new Set('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=')

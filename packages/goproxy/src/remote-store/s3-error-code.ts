import { readStart } from '../upstream/read-start.ts'

/** Reads the code out of an error answer, such as `AccessDenied`; empty when there is none. Never rejects. */
export async function readS3ErrorCode(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<string> {
  const { bytes } = await readStart(body, maxBytes)
  return between(bytes.toString('latin1'), '<Code>', '</Code>')
}

/** Only letters and digits: nothing else of the answer is repeated, which may hold what the request was signed with. */
function between(text: string, open: string, close: string): string {
  const start = text.indexOf(open)
  const end = text.indexOf(close, start + open.length)
  if (start < 0 || end < 0) return ''
  const code = text.slice(start + open.length, end)
  return code.length <= 64 && Array.from(code).every(isAlphanumeric) ? code : ''
}

function isAlphanumeric(char: string): boolean {
  const isLetter = (char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z')
  return isLetter || (char >= '0' && char <= '9')
}

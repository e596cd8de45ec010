/** Reads the code out of an error answer, such as `AccessDenied`; empty when there is none. Never rejects. */
export async function readS3ErrorCode(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of body) {
      chunks.push(chunk)
      length += chunk.length
      if (length >= maxBytes) break
    }
  } catch {
    // What came is all there is; the status says enough.
  }
  const text = Buffer.concat(chunks).subarray(0, maxBytes).toString('latin1')
  return between(text, '<Code>', '</Code>')
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

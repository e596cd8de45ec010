import { FetchError } from './fetch-error.ts'

/** How much of a body is taken, and whose it is. */
interface BodyLimit {
  readonly maxBytes: number
  readonly name: string
}

/** Collects a body of at most `maxBytes`. Throws FetchError for a longer one. */
export async function collect(
  body: AsyncIterable<Uint8Array>,
  limit: BodyLimit,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > limit.maxBytes) throw tooLarge(limit)
    chunks.push(chunk)
  }
  // One concat at the end: one per chunk is quadratic.
  return new Uint8Array(Buffer.concat(chunks, length))
}

/** The error for a body over its limit. */
export function tooLarge(limit: BodyLimit): FetchError {
  return new FetchError('malformed', `${limit.name}: more than ${limit.maxBytes} bytes`)
}

/** The beginning of a body, and what kept the rest from coming, if it was to come. */
interface BodyStart {
  readonly bytes: Buffer
  readonly failure: Error | undefined
}

/** Reads the first `maxBytes` of a body, and waits for no more. Never rejects. */
export async function readStart(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<BodyStart> {
  const chunks: Uint8Array[] = []
  let length = 0
  let failure: Error | undefined
  try {
    for await (const chunk of body) {
      chunks.push(chunk)
      length += chunk.length
      if (length >= maxBytes) break
    }
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error))
  }
  return { bytes: Buffer.concat(chunks).subarray(0, maxBytes), failure }
}

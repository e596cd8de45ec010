import type { ServerResponse } from 'node:http'
import type { BodyChunks } from '@modmesh/fill'
import type { Reply } from './reply.ts'

/** Bytes given to the socket at once: a slow reader's progress is seen in steps of this size. */
const sliceBytes: number = 256 << 10

/**
 * Sends an answer. A body that fails or ends early never looks complete: the connection is cut. Rejects before
 * the headers are out when the body cannot be opened, so that the caller may answer with an error instead.
 */
export async function sendReply(
  response: ServerResponse,
  reply: Reply,
  options: { readonly head: boolean },
): Promise<void> {
  const { body } = reply
  const headers = {
    ...reply.headers,
    ...(body === undefined && reply.status === 304
      ? {}
      : { 'content-length': String(body?.size ?? 0) }),
    'x-content-type-options': 'nosniff',
  }
  if (options.head || body === undefined) {
    response.writeHead(reply.status, headers).end()
    return
  }
  const opened = body.read()
  if (opened instanceof Uint8Array && opened.length <= sliceBytes) {
    response.writeHead(reply.status, headers).end(opened)
    return
  }
  const chunks = opened instanceof Uint8Array ? slices(opened) : opened
  const iterator = iterate(chunks)
  // Before the headers: what cannot be opened may still become an error.
  const first = await iterator.next()
  response.writeHead(reply.status, headers)
  await pump(iterator, first, response, { size: body.size, onSent: recycler(chunks) })
}

type Chunks = AsyncIterator<Uint8Array> | Iterator<Uint8Array>

function iterate(chunks: BodyChunks | Iterable<Uint8Array>): Chunks {
  return Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]()
}

/** What to do with a chunk that the kernel has taken. */
function recycler(chunks: BodyChunks | Iterable<Uint8Array>): (chunk: Uint8Array) => void {
  return 'recycle' in chunks ? (chunk) => chunks.recycle?.(chunk) : ignore
}

function ignore(): void {}

/** Writes each chunk while the next one is read. A client that goes away ends it without an error. */
async function pump(
  chunks: Chunks,
  first: IteratorResult<Uint8Array>,
  response: ServerResponse,
  { size, onSent }: { readonly size: number; readonly onSent: (chunk: Uint8Array) => void },
): Promise<void> {
  let sent = 0
  try {
    for (let next = first; next.done !== true; ) {
      const chunk = next.value
      sent += chunk.length
      // After an error the kernel may still be reading it.
      const isFlushed = response.write(chunk, (error) => error ?? onSent(chunk))
      const ahead = Promise.resolve(chunks.next())
      ahead.catch(() => {}) // awaited below, when the socket took what came before
      if (!isFlushed) await drained(response)
      if (response.destroyed) return
      next = await ahead
    }
    if (sent !== size) throw new Error(`the body ended after ${sent} of ${size} bytes`)
    response.end()
  } finally {
    await chunks.return?.()
  }
}

/** Resolves when the socket took what was written, or closed. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      response.off('drain', settle).off('close', settle)
      resolve()
    }
    response.on('drain', settle).on('close', settle)
    if (response.destroyed) settle()
  })
}

function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += sliceBytes) {
    yield bytes.subarray(start, start + sliceBytes)
  }
}

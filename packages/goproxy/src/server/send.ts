import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Reply, ReplyBody } from './reply.ts'

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
  const stream = opened instanceof Uint8Array ? Readable.from(slices(opened)) : toReadable(opened)
  await firstBytes(stream)
  response.writeHead(reply.status, headers)
  await pump(stream, response, body)
}

async function pump(stream: Readable, response: ServerResponse, body: ReplyBody): Promise<void> {
  let sent = 0
  stream.on('data', (chunk: Uint8Array) => {
    sent += chunk.length
  })
  // Not ended by the pipeline: whether all of it came is seen only after the last chunk.
  await pipeline(stream, response, { end: false })
  if (sent !== body.size) throw new Error(`the body ended after ${sent} of ${body.size} bytes`)
  response.end()
}

function toReadable(body: AsyncIterable<Uint8Array>): Readable {
  return body instanceof Readable ? body : Readable.from(body, { objectMode: false })
}

/** Resolves when the stream has something to give or has ended; rejects when it fails before that. */
function firstBytes(stream: Readable): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      stream.off('readable', onReady).off('end', onReady).off('error', settle)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onReady = (): void => settle()
    stream.on('readable', onReady).on('end', onReady).on('error', settle)
  })
}

function* slices(bytes: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += sliceBytes) {
    yield bytes.subarray(start, start + sliceBytes)
  }
}

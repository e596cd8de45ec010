import type { BodyChunks, ByteRange } from '@modmesh/fill'

/** A body whose size is known before its first byte. */
export interface ReplyBody {
  /** Bytes. */
  readonly size: number
  read(range?: ByteRange): Uint8Array | BodyChunks
}

/** An HTTP answer as a value: made by a route, narrowed by ranges and conditions, then sent. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body?: ReplyBody
}

/** A body that is all in memory. */
export function bytesBody(bytes: Uint8Array): ReplyBody {
  return {
    size: bytes.length,
    read: (range) => (range === undefined ? bytes : bytes.subarray(range.start, range.end)),
  }
}

/** A short text, shown by `go` to people: its media type must be exactly this (cmd/go web/api.go). */
export function textReply(
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): Reply {
  return {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', ...headers },
    body: bytesBody(new TextEncoder().encode(text)),
  }
}

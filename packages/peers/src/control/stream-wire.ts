import type { Stream } from '@libp2p/interface'
import { sendChunks } from '../network/stream-io.ts'
import { Inbox } from './inbox.ts'
import type { Wire } from './wire.ts'

/** Makes a wire of a libp2p stream; its listeners cannot throw. */
export function streamWire(stream: Stream): Wire {
  const inbox = new Inbox()
  const stop = new AbortController()
  stream.addEventListener('message', (event) => inbox.push(event.data))
  stream.addEventListener('remoteCloseWrite', () => inbox.end())
  stream.addEventListener('close', (event) => inbox.end(event.error))
  if (stream.status !== 'open') inbox.end()
  return {
    source: inbox,
    async sink(source) {
      await sendChunks(stream, source, { signal: stop.signal })
    },
    abort(error) {
      inbox.end(error)
      stop.abort(error)
      stream.abort(error)
    },
  }
}

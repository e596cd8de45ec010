import { once } from 'node:events'
import { get } from 'node:http'
import { connect, type Socket } from 'node:net'

/** How one request over a connection of its own went. */
export interface Fetched {
  readonly status: number
  /** Of the body, bytes. */
  readonly size: number
  readonly tookMs: number
}

/** Fetches a URL over a new connection and throws its bytes away: many at a time cost no memory. */
export function fetchAndDrop(url: string): Promise<Fetched> {
  const startedMs = performance.now()
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (answer) => {
      let size = 0
      answer.on('data', (chunk: Uint8Array) => {
        size += chunk.length
      })
      answer.on('end', () => {
        const tookMs = performance.now() - startedMs
        resolve({ status: answer.statusCode ?? 0, size, tookMs })
      })
      answer.on('error', reject)
    }).on('error', reject)
  })
}

/** Connections that a test holds open and drops at its end. */
export class HeldSockets implements Disposable {
  readonly #port: number
  readonly #sockets: Socket[] = []

  constructor(url: string) {
    this.#port = Number(new URL(url).port)
  }

  /** Connections that the other side has not closed. */
  get open(): number {
    return this.#sockets.filter((socket) => !socket.closed && !socket.readableEnded).length
  }

  /** Opens connections and sends `text` on each; LF stands for CRLF. */
  async add(count: number, text = ''): Promise<readonly Socket[]> {
    const added = Array.from({ length: count }, () => {
      const socket = connect(this.#port, '127.0.0.1')
      socket.on('error', () => undefined) // closed by the other side: that is what is tested
      return socket
    })
    this.#sockets.push(...added)
    await Promise.all(
      added.map((socket) => Promise.race([once(socket, 'connect'), once(socket, 'close')])),
    )
    if (text !== '') for (const socket of added) socket.write(text.replaceAll('\n', '\r\n'))
    return added
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy()
  }
}

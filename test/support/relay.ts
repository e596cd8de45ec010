import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** A link to an upstream that counts what crosses it and can be cut. */
export interface Relay extends AsyncDisposable {
  readonly url: string
  /** Answers that carried a body since the start. */
  readonly answers: number
  /** Body bytes since the start. */
  readonly bytes: number
  /** Closes the port and every connection: upstream is gone. */
  cut(): Promise<void>
}

/** Starts a relay on a free loopback port. */
export async function startRelay(upstream: string): Promise<Relay> {
  const counts = { answers: 0, bytes: 0 }
  const server = createServer((request, response) => {
    const forward = async (): Promise<void> => {
      const answer = await fetch(`${upstream}${request.url}`, { redirect: 'follow' })
      response.statusCode = answer.status
      for (const name of ['content-type', 'etag', 'last-modified']) {
        const value = answer.headers.get(name)
        if (value !== null) response.setHeader(name, value)
      }
      if (answer.body === null) {
        response.end()
        return
      }
      counts.answers++
      const body = Readable.fromWeb(answer.body)
      body.on('data', (chunk: Uint8Array) => {
        counts.bytes += chunk.length
      })
      await pipeline(body, response)
    }
    forward().catch(() => {
      // The upstream or the client is gone; the other end sees its connection close.
      response.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = (): Promise<void> => close(server)
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get answers() {
      return counts.answers
    },
    get bytes() {
      return counts.bytes
    },
    cut,
    [Symbol.asyncDispose]: cut,
  }
}

function close(server: Server): Promise<void> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(() => resolve()))
}

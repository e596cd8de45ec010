import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** A TCP link of a given rate in both directions, with a queue as deep as sockets make it. */
export interface SlowLink extends AsyncDisposable {
  readonly port: number
}

const sliceMs = 20

/** Starts a link on a free loopback port that leads to another port. */
export async function startSlowLink(init: {
  readonly toPort: number
  readonly bitsPerSecond: number
}): Promise<SlowLink> {
  const sockets = new Set<Socket>()
  const server = createServer({ pauseOnConnect: false }, (near) => {
    const far = connect(init.toPort, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      carry(from, to, init.bitsPerSecond / 8).catch(() => {
        // One end is gone; the other end is told.
        from.destroy()
        to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

async function carry(from: Socket, to: Socket, bytesPerSecond: number): Promise<void> {
  for await (const chunk of from as AsyncIterable<Buffer>) {
    const step = Math.max(1, Math.floor((bytesPerSecond * sliceMs) / 1000))
    for (let start = 0; start < chunk.byteLength; start += step) {
      const part = chunk.subarray(start, start + step)
      if (!to.write(part)) await once(to, 'drain')
      await delay((part.byteLength / bytesPerSecond) * 1000)
    }
  }
  to.end()
}

import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

/** A TCP link of a given rate in both directions, with a queue as deep as sockets make it. */
export interface SlowLink extends AsyncDisposable {
  readonly port: number
  /** Bytes so far: from those who connected, and to them. */
  readonly bytes: { readonly up: number; readonly down: number }
  /** Ends every connection, and takes no new one until it is mended. */
  cut(): void
  mend(): void
}

const sliceMs = 20

/** Starts a link on a free loopback port that leads to another port. All connections share the rate. */
export async function startSlowLink(init: {
  readonly toPort: number
  readonly bitsPerSecond: number
}): Promise<SlowLink> {
  const sockets = new Set<Socket>()
  const lanes = { up: new Lane(init.bitsPerSecond / 8), down: new Lane(init.bitsPerSecond / 8) }
  let isCut = false
  const server = createServer({ pauseOnConnect: false }, (near) => {
    if (isCut) {
      near.destroy()
      return
    }
    const far = connect(init.toPort, '127.0.0.1')
    for (const [from, to, lane] of [
      [near, far, lanes.up],
      [far, near, lanes.down],
    ] as const) {
      sockets.add(from)
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
      carry(from, to, lane).catch(() => {
        // One end is gone; the other end is told.
        from.destroy()
        to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const end = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    bytes: {
      get up() {
        return lanes.up.bytes
      },
      get down() {
        return lanes.down.bytes
      },
    },
    cut() {
      isCut = true
      end()
    },
    mend() {
      isCut = false
    },
    async [Symbol.asyncDispose]() {
      end()
      server.close()
      await once(server, 'close')
    },
  }
}

/** One direction: what all connections send goes one after the other. */
class Lane {
  readonly bytesPerSecond: number
  bytes = 0
  #freeMs = 0

  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond
  }

  async pass(bytes: number): Promise<void> {
    const nowMs = performance.now()
    this.#freeMs = Math.max(this.#freeMs, nowMs) + (bytes / this.bytesPerSecond) * 1000
    this.bytes += bytes
    const waitMs = this.#freeMs - nowMs
    if (waitMs >= 1) await delay(waitMs)
  }
}

async function carry(from: Socket, to: Socket, lane: Lane): Promise<void> {
  const step = Math.max(1, Math.floor((lane.bytesPerSecond * sliceMs) / 1000))
  for await (const chunk of from as AsyncIterable<Buffer>) {
    for (let start = 0; start < chunk.byteLength; start += step) {
      const part = chunk.subarray(start, start + step)
      await lane.pass(part.byteLength)
      if (!to.write(part)) await once(to, 'drain')
    }
  }
  to.end()
}

import type { Socket } from 'node:net'

/**
 * Keeps room for new clients: connections on which nothing is being answered, the longest idle first. Node alone
 * would refuse the newest once somebody holds enough silent ones.
 */
export class WaitingConnections {
  readonly #limit: number
  /** In the order in which they became idle. */
  readonly #waiting = new Set<Socket>()
  #open = 0

  /** `limit`: connections at once, busy ones included, above which idle ones are closed. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** A new connection: closes the longest idle one when there are too many. */
  add(socket: Socket): void {
    this.#open++
    this.#waiting.add(socket)
    socket.once('close', () => {
      this.#open--
      this.#waiting.delete(socket)
    })
    if (this.#open > this.#limit) this.#closeOldest()
  }

  /** A request came in on it. */
  busy(socket: Socket): void {
    this.#waiting.delete(socket)
  }

  /** Its answer is out. */
  idle(socket: Socket): void {
    if (!socket.destroyed) this.#waiting.add(socket)
  }

  #closeOldest(): void {
    const [oldest] = this.#waiting
    if (oldest === undefined) return
    this.#waiting.delete(oldest)
    oldest.destroy()
  }
}

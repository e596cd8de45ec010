import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

interface Turns {
  isBusy: boolean
  readonly waiting: (() => void)[]
}

/**
 * Answers what comes over one connection one after another: Node begins all requests of a pipeline at once, and
 * each would have its file open and its first bytes in memory.
 */
export class RequestTurns {
  readonly #maxWaiting: number
  readonly #connections = new WeakMap<Socket, Turns>()
  #waiting = 0

  /** `maxWaiting`: requests of all connections that wait for a turn; who sends one more is cut. */
  constructor(maxWaiting: number) {
    this.#maxWaiting = maxWaiting
  }

  /** Whether a request of the connection is being answered. */
  isBusy(socket: Socket): boolean {
    return this.#connections.get(socket)?.isBusy === true
  }

  /**
   * Begins a turn, which ends with the response. Undefined: at once; else it resolves when it is this request's turn,
   * or its connection is closed.
   */
  enter(socket: Socket, response: ServerResponse): Promise<void> | undefined {
    const turns = this.#turnsOf(socket)
    if (turns.isBusy) return this.#wait(turns, socket, response)
    this.#begin(turns, response)
    return undefined
  }

  async #wait(turns: Turns, socket: Socket, response: ServerResponse): Promise<void> {
    if (this.#waiting >= this.#maxWaiting) socket.destroy()
    if (socket.destroyed) return
    this.#waiting++
    await new Promise<void>((resolve) => turns.waiting.push(resolve))
    this.#waiting--
    if (!socket.destroyed) this.#begin(turns, response)
  }

  #begin(turns: Turns, response: ServerResponse): void {
    turns.isBusy = true
    response.once('close', () => {
      turns.isBusy = false
      turns.waiting.shift()?.()
    })
  }

  #turnsOf(socket: Socket): Turns {
    const known = this.#connections.get(socket)
    if (known !== undefined) return known
    const turns: Turns = { isBusy: false, waiting: [] }
    this.#connections.set(socket, turns)
    socket.once('close', () => {
      for (const wake of turns.waiting.splice(0)) wake()
    })
    return turns
  }
}

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** What the child runs: a server that is stopped as soon as it listens. Its kernel takes a connection or two. */
const listener = `
  const server = require('node:net').createServer()
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    process.stdout.write(server.address().port + '\\n', () => process.kill(process.pid, 'SIGSTOP'))
  })
`

/**
 * An address of this host that drops packets, as one behind a dead line: who connects hears nothing. A listener whose
 * queue is full does that, on Linux, without any rights.
 */
export class BlackHole implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess
  readonly #sockets: readonly Socket[]

  static async open(): Promise<BlackHole> {
    const child = spawn(process.execPath, ['-e', listener], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(child.stdout, 'data')) as [Buffer]
    const port = Number(line.toString())
    // More than its queue takes: those that are left hang as everybody after them.
    const sockets = Array.from({ length: 8 }, () => connect(port, '127.0.0.1'))
    for (const socket of sockets) socket.on('error', () => undefined) // at its end
    await Promise.race(sockets.map((socket) => once(socket, 'connect')))
    return new BlackHole(child, port, sockets)
  }

  private constructor(child: ChildProcess, port: number, sockets: readonly Socket[]) {
    this.#child = child
    this.#sockets = sockets
    this.url = `http://127.0.0.1:${port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    const ended = once(this.#child, 'close')
    this.#child.kill('SIGKILL')
    await ended
  }
}

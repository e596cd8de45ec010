import { chmod, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { CommandError, errorText } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import {
  type ControlRequest,
  type ControlResponse,
  formatResponse,
  maxRequestBytes,
  parseRequest,
} from './protocol.ts'
import { prepareSocketPath, removeShortLink, socketFile } from './socket-path.ts'

/** How long a client may take to say what it wants. Milliseconds. */
const requestTimeoutMs = 5_000

/** Answers one request; what it throws becomes the client's error line. Aborted when the client goes away. */
export type AnswerControl = (
  request: ControlRequest,
  options: { readonly signal: AbortSignal },
) => Promise<unknown>

/** The Unix socket through which commands reach a running node. File permissions are its only key. */
export class ControlServer implements AsyncDisposable {
  readonly #server: Server
  readonly #dir: string
  readonly #sockets = new Set<Socket>()

  private constructor(dir: string, answer: AnswerControl) {
    this.#dir = dir
    this.#server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      serve(socket, answer)
    })
  }

  /**
   * Listens on `<dir>/run/control.sock`. A socket that a killed node left is replaced, so the caller
   * must hold the store's lock.
   */
  static async listen(dir: string, answer: AnswerControl): Promise<ControlServer> {
    const path = await prepareSocketPath(dir)
    await rm(socketFile(dir), { force: true })
    const control = new ControlServer(dir, answer)
    await control.#listen(path)
    await chmod(socketFile(dir), 0o600)
    return control
  }

  #listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(path, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
    await rm(socketFile(this.#dir), { force: true })
    await removeShortLink(this.#dir)
  }
}

function serve(socket: Socket, answer: AnswerControl): void {
  let received = ''
  let done = false
  const gone = new AbortController()
  socket.once('close', () => gone.abort(new Error('the client went away')))
  socket.setEncoding('utf8')
  socket.setTimeout(requestTimeoutMs, () => {
    if (!done) socket.destroy()
  })
  socket.on('error', () => {
    socket.destroy() // the client went away: there is nobody to tell
  })
  socket.on('data', (chunk: string) => {
    if (done) return
    received += chunk
    const end = received.indexOf('\n')
    if (end < 0 && received.length <= maxRequestBytes) return
    done = true
    const line = received.slice(0, Math.max(end, 0))
    void respond(line, answer, gone.signal).then((response) => {
      socket.end(formatResponse(response))
    })
  })
}

/** Never rejects: every failure is an answer. */
async function respond(
  line: string,
  answer: AnswerControl,
  signal: AbortSignal,
): Promise<ControlResponse> {
  try {
    return { ok: true, result: (await answer(readRequest(line), { signal })) ?? null }
  } catch (error) {
    const exitCode = error instanceof CommandError ? error.exitCode : exitCodes.failed
    return { ok: false, message: errorText(error), exitCode }
  }
}

function readRequest(line: string): ControlRequest {
  try {
    return parseRequest(line)
  } catch (error) {
    throw new CommandError(
      'the running node does not know this request; is it of the same modmesh version?',
      {
        exitCode: exitCodes.wrongUsage,
        cause: error,
      },
    )
  }
}

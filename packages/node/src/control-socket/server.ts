import { chmod, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { CommandError, errorText } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { SocketReader, sendFrame } from './frames.ts'
import {
  type AskedRequest,
  type ControlResponse,
  formatProgress,
  formatResponse,
  maxRequestBytes,
  parseRequest,
} from './protocol.ts'
import type { ControlRequest } from './requests.ts'
import { prepareSocketPath, removeShortLink, socketFile } from './socket-path.ts'

/** How long a client may take to say what it wants. Milliseconds. */
const requestTimeoutMs = 5_000

/** What goes between client and node beside the request and its answer. */
export interface ControlStream {
  /** What the client sends after its request. Throws CommandError when it goes away before its end. */
  receive(): AsyncIterable<Uint8Array>
  /** Sends bytes before the answer; resolves when their memory may be used again. Throws when the client went away. */
  send(bytes: Uint8Array): Promise<void>
}

/** How a request is answered. */
export interface AnswerOptions {
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal
  /** Tells the client how it goes on; does nothing for one that does not want to know. */
  readonly onProgress: (progress: object) => void
  readonly stream: ControlStream
}

/** Answers one request; what it throws becomes the client's error line. */
export type AnswerControl = (request: ControlRequest, options: AnswerOptions) => Promise<unknown>

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
  const gone = new AbortController()
  socket.once('close', () => gone.abort(new Error('the client went away')))
  socket.setTimeout(requestTimeoutMs, () => socket.destroy())
  socket.on('error', () => {
    socket.destroy() // the client went away: there is nobody to tell
  })
  void serveOne(socket, answer, gone.signal)
}

/** Never rejects. */
async function serveOne(socket: Socket, answer: AnswerControl, signal: AbortSignal): Promise<void> {
  const reader = new SocketReader(socket)
  const line = await reader.line(maxRequestBytes)
  socket.setTimeout(0)
  const stream = { receive: () => reader.frames(), send: sendFrame.bind(undefined, socket) }
  const onProgress = (progress: object): void => {
    // A client that does not read gets the next one instead.
    if (socket.writable && socket.writableLength === 0) socket.write(formatProgress(progress))
  }
  const response = await respond(line ?? '', answer, { signal, stream, onProgress })
  socket.end(formatResponse(response))
}

/** Never rejects: every failure is an answer. */
async function respond(
  line: string,
  answer: AnswerControl,
  { onProgress, ...rest }: AnswerOptions,
): Promise<ControlResponse> {
  try {
    const { request, wantsProgress } = readRequest(line)
    const options = { ...rest, onProgress: wantsProgress ? onProgress : () => {} }
    return { ok: true, result: (await answer(request, options)) ?? null }
  } catch (error) {
    const exitCode = error instanceof CommandError ? error.exitCode : exitCodes.failed
    return { ok: false, message: errorText(error), exitCode }
  }
}

function readRequest(line: string): AskedRequest {
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

import { connect, type Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import { CommandError, errorCode, errorText, NodeNotRunningError } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { endFrames, SocketReader, sendFrame } from './frames.ts'
import {
  formatRequest,
  maxRequestBytes,
  maxResponseBytes,
  parseProgress,
  parseResponse,
} from './protocol.ts'
import type { ControlRequest } from './requests.ts'
import { findSocketPath } from './socket-path.ts'

/** Nothing listens: no socket, a killed node's socket, or a path that is no socket at all. */
const notListening = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'ENOTDIR'])

/** How a node is asked. */
export interface AskOptions {
  readonly signal: AbortSignal
  /** Called with what the node tells of the progress, in whatever form it has; absent: it is not asked to tell. */
  readonly onProgress?: ((progress: unknown) => void) | undefined
}

/**
 * Asks the node that runs on a data directory. Throws NodeNotRunningError, or CommandError with the
 * node's own message and exit code.
 */
export async function askNode(
  dir: string,
  request: ControlRequest,
  { signal, onProgress }: AskOptions,
): Promise<unknown> {
  const asked = lineOf(request, onProgress)
  return resultOf(await exchange(dir, asked, { signal, onProgress }))
}

/** What goes to the node after a request, and comes from it before the answer. */
export interface StreamedExchange extends AskOptions {
  readonly send: AsyncIterable<Uint8Array>
  readonly receive: (bytes: Uint8Array) => Promise<void>
}

/** As askNode, for a request that sends and receives files. */
export async function exchangeWithNode(
  dir: string,
  request: ControlRequest,
  exchanged: StreamedExchange,
): Promise<unknown> {
  const { send, onProgress, signal } = exchanged
  const asked = lineOf(request, onProgress)
  const line = await withSocket(dir, signal, async (socket) => {
    socket.write(asked)
    const receiving = receiveAll(socket, exchanged)
    // Whoever waits for the race gets the error.
    receiving.catch(() => {})
    return await Promise.race([receiving, sendAll(socket, send).then(() => receiving)])
  })
  return resultOf(line)
}

/** The line that asks. Throws CommandError when the node would not read all of it. */
function lineOf(request: ControlRequest, onProgress: AskOptions['onProgress']): string {
  const line = formatRequest({ request, wantsProgress: onProgress !== undefined })
  if (line.length <= maxRequestBytes) return line
  const message = 'too much for one request to the node: name fewer files at a time'
  throw new CommandError(message, { exitCode: exitCodes.failed })
}

/** What an answer says. Throws CommandError with the node's own message and exit code. */
function resultOf(line: string): unknown {
  const response = readResponse(line)
  if (response.ok) return response.result
  throw new CommandError(response.message, { exitCode: response.exitCode })
}

/** The last line, without its end. */
async function receiveAll(
  socket: Socket,
  { receive, onProgress = () => {} }: StreamedExchange,
): Promise<string> {
  const reader = new SocketReader(socket)
  for (;;) {
    for await (const bytes of reader.frames()) await receive(bytes)
    const line = (await reader.line(maxResponseBytes)) ?? ''
    const told = parseProgressOrNothing(line)
    if (told === undefined) return line
    onProgress(told.progress)
  }
}

/** A node that has heard enough answers and hangs up: its answer says why. */
async function sendAll(socket: Socket, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) if (!(await trySend(sendFrame(socket, chunk)))) return
  await trySend(endFrames(socket))
}

async function trySend(sending: Promise<void>): Promise<boolean> {
  return await sending.then(
    () => true,
    () => false, // the answer, or its absence, tells
  )
}

function readResponse(line: string): ReturnType<typeof parseResponse> {
  try {
    return parseResponse(line)
  } catch (error) {
    if (line === '') {
      throw new CommandError('the node ended before it answered; start it, and give this again', {
        exitCode: exitCodes.notRunning,
        cause: error,
      })
    }
    const text = 'the running node gave an answer of another version'
    throw new CommandError(`${text}; is it of the same modmesh version?`, {
      exitCode: exitCodes.failed,
      cause: error,
    })
  }
}

function exchange(
  dir: string,
  line: string,
  { signal, onProgress = () => {} }: AskOptions,
): Promise<string> {
  return withSocket(dir, signal, async (socket) => {
    socket.write(line)
    return await readAnswer(socket, onProgress)
  })
}

async function withSocket(
  dir: string,
  signal: AbortSignal,
  work: (socket: Socket) => Promise<string>,
): Promise<string> {
  const path = await findSocketPath(dir)
  const socket = connect({ path, signal })
  try {
    await connected(socket)
    return await work(socket)
  } catch (error) {
    throw asCommandError(dir, path, error, signal)
  } finally {
    socket.destroy()
  }
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
}

/** The last line, without its end; those before it tell of the progress. */
async function readAnswer(
  socket: Socket,
  onProgress: (progress: unknown) => void,
): Promise<string> {
  const decoder = new StringDecoder('utf8')
  let received = ''
  for await (const chunk of socket) {
    const text = decoder.write(chunk as Buffer)
    received += text
    if (received.length > maxResponseBytes) throw new Error('the answer is too long')
    // A long answer comes in many pieces: it is not searched anew with each.
    if (!text.includes('\n')) continue
    for (let end = received.indexOf('\n'); end >= 0; end = received.indexOf('\n')) {
      const told = parseProgressOrNothing(received.slice(0, end))
      if (told === undefined) break
      onProgress(told.progress)
      received = received.slice(end + 1)
    }
  }
  return received
}

/** What is no progress is the answer, whatever it looks like. */
function parseProgressOrNothing(line: string): ReturnType<typeof parseProgress> {
  try {
    return parseProgress(line)
  } catch {
    return undefined // the answer's reader says what is wrong with it
  }
}

function asCommandError(dir: string, path: string, error: unknown, signal: AbortSignal): Error {
  if (error instanceof CommandError) return error
  const code = errorCode(error)
  if (signal.aborted) {
    return new CommandError(`the node on ${dir} did not answer in time`, {
      exitCode: exitCodes.unreachable,
      cause: error,
    })
  }
  if (code !== undefined && notListening.has(code))
    return new NodeNotRunningError(dir, { cause: error })
  if (code === 'EACCES' || code === 'EPERM') {
    const message = `no permission to ask the node on ${dir}; run this as the user that runs it`
    return new CommandError(message, { exitCode: exitCodes.failed, cause: error })
  }
  return new CommandError(`${path}: ${errorText(error)}`, {
    exitCode: exitCodes.failed,
    cause: error,
  })
}

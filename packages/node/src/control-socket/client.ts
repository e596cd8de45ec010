import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { CommandError, errorCode, errorText, NodeNotRunningError } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { type ControlRequest, formatRequest, maxResponseBytes, parseResponse } from './protocol.ts'
import { findSocketPath } from './socket-path.ts'

/** Nothing listens: no socket, a killed node's socket, or a path that is no socket at all. */
const notListening = new Set(['ENOENT', 'ECONNREFUSED', 'ENOTSOCK', 'ENOTDIR'])

/**
 * Asks the node that runs on a data directory. Throws NodeNotRunningError, or CommandError with the
 * node's own message and exit code.
 */
export async function askNode(
  dir: string,
  request: ControlRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<unknown> {
  const line = await exchange(dir, formatRequest(request), signal)
  const response = readResponse(line)
  if (response.ok) return response.result
  throw new CommandError(response.message, { exitCode: response.exitCode })
}

function readResponse(line: string): ReturnType<typeof parseResponse> {
  try {
    return parseResponse(line)
  } catch (error) {
    const text = line === '' ? 'closed without an answer' : 'gave an answer of another version'
    throw new CommandError(`the running node ${text}; is it of the same modmesh version?`, {
      exitCode: exitCodes.failed,
      cause: error,
    })
  }
}

async function exchange(dir: string, line: string, signal: AbortSignal): Promise<string> {
  const path = await findSocketPath(dir)
  const socket = connect({ path, signal })
  try {
    await connected(socket)
    socket.write(line)
    return await readAll(socket)
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

async function readAll(socket: Socket): Promise<string> {
  let size = 0
  socket.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > maxResponseBytes) socket.destroy(new Error('the answer is too long'))
  })
  return await text(socket)
}

function asCommandError(dir: string, path: string, error: unknown, signal: AbortSignal): Error {
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

import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'

/** What came back. */
export interface Reply {
  /** 0 when there was none: refused, reset or too late. */
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** The connection ended before the body did. */
  readonly isCut: boolean
  readonly tookMs: number
  /** Why there is no reply. */
  readonly failure?: string
}

export interface Question {
  /** Scheme, host and port. */
  readonly origin: string
  /** Sent as it is. */
  readonly path: string
  readonly method?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

/** Sends a request exactly as it is written; never rejects. */
export async function send(question: Question): Promise<Reply> {
  const startedMs = performance.now()
  const agent = new Agent({ keepAlive: false })
  try {
    const limit = AbortSignal.timeout(question.timeoutMs)
    const signal = question.signal ? AbortSignal.any([question.signal, limit]) : limit
    const response = await firstLine(question, agent, signal)
    const { chunks, isCut } = await readBody(response)
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: Buffer.concat(chunks),
      isCut: isCut || !response.complete,
      tookMs: performance.now() - startedMs,
    }
  } catch (error) {
    return noReply(String(error), startedMs)
  } finally {
    agent.destroy()
  }
}

function firstLine(
  { origin, path, method = 'GET', headers = {} }: Question,
  agent: Agent,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = request(origin, { path, method, headers, agent, signal }, resolve)
    asked.on('error', reject)
    asked.end()
  })
}

async function readBody(
  response: IncomingMessage,
): Promise<{ readonly chunks: readonly Buffer[]; readonly isCut: boolean }> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer)
    return { chunks, isCut: false }
  } catch {
    return { chunks, isCut: true }
  }
}

/** Sends bytes as they are and reads until the connection ends or a second is quiet; never rejects. */
export async function sendRaw(origin: string, text: string, timeoutMs: number): Promise<Reply> {
  const startedMs = performance.now()
  const { hostname, port } = new URL(origin)
  const chunks: Buffer[] = []
  const failure = await new Promise<string | undefined>((resolve) => {
    const socket = connect(Number(port), hostname)
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error('timed out')))
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      socket.setTimeout(1_000, () => socket.destroy())
    })
    socket.on('error', (error) => resolve(String(error)))
    socket.on('close', () => resolve(undefined))
    socket.write(Buffer.from(text, 'latin1'))
  })
  const answer = Buffer.concat(chunks)
  if (answer.length === 0) return noReply(failure ?? 'closed without an answer', startedMs)
  return { ...parseReply(answer), isCut: false, tookMs: performance.now() - startedMs }
}

function parseReply(bytes: Buffer): Pick<Reply, 'status' | 'headers' | 'body'> {
  const end = bytes.indexOf('\r\n\r\n')
  const [line = '', ...fields] = bytes
    .subarray(0, end < 0 ? bytes.length : end)
    .toString('latin1')
    .split('\r\n')
  const headers: IncomingHttpHeaders = {}
  for (const field of fields) {
    const colon = field.indexOf(':')
    headers[field.slice(0, colon).toLowerCase()] = field.slice(colon + 1).trim()
  }
  const body = end < 0 ? Buffer.alloc(0) : bytes.subarray(end + 4)
  return { status: Number(line.split(' ')[1] ?? 0), headers, body }
}

function noReply(failure: string, startedMs: number): Reply {
  const tookMs = performance.now() - startedMs
  return { status: 0, headers: {}, body: Buffer.alloc(0), isCut: true, tookMs, failure }
}

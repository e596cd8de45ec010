import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import {
  type ExtraPages,
  ProxyServer,
  type ProxyServerInit,
  type SumdbAnswers,
} from '../../src/index.ts'
import { type FakeSource, fakeSource, withMemory } from './fake-source.ts'

export interface Served extends AsyncDisposable {
  readonly server: ProxyServer
  readonly source: FakeSource
  readonly errors: unknown[]
  readonly port: number
  get(path: string, headers?: Record<string, string>, method?: string): Promise<Response>
}

/** Starts a server over a fake source on a free port. */
export async function serve(
  init: Partial<ProxyServerInit> & {
    readonly databases?: readonly SumdbAnswers[]
    readonly pages?: ExtraPages
    /** Whether the source answers from memory, once it was asked. */
    readonly memory?: boolean
  } = {},
): Promise<Served> {
  const source = init.memory === true ? withMemory(fakeSource()) : fakeSource()
  const errors: unknown[] = []
  const { databases = [], pages = { get: () => undefined }, memory: _, ...rest } = init
  const server = await ProxyServer.listen(
    { source, databases, pages },
    { listen: '127.0.0.1:0', onError: (error) => errors.push(error), ...rest },
  )
  return {
    server,
    source,
    errors,
    port: server.address.port,
    get: (path, headers = {}, method = 'GET') => fetch(server.url + path, { headers, method }),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Sends bytes as they are and reads until the server closes. LF stands for CRLF. */
export async function sendRaw(port: number, text: string): Promise<RawAnswer> {
  const socket = await open(port)
  socket.write(text.replaceAll('\n', '\r\n'), 'latin1')
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  const all = Buffer.concat(chunks).toString('latin1')
  const end = all.indexOf('\r\n\r\n')
  const head = all.slice(0, end)
  return { status: Number(head.split(' ')[1]), head, body: all.slice(end + 4) }
}

export async function open(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

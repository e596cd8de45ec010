import { once } from 'node:events'
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The port of a fake server: it can go away and come back. */
export class FakePort {
  readonly #listener: RequestListener
  readonly #host: string
  #port: number
  #server: Server | undefined
  #connections = 0

  constructor(
    listener: RequestListener,
    init: { readonly host?: string | undefined; readonly port?: number | undefined } = {},
  ) {
    this.#listener = listener
    this.#host = init.host ?? '127.0.0.1'
    this.#port = init.port ?? 0
  }

  get url(): string {
    return `http://${this.#host}:${this.#port}`
  }

  /** How many were opened. */
  get connections(): number {
    return this.#connections
  }

  /** Closes the port and all connections, as a machine that goes away. */
  async down(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (server === undefined) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  /** Opens the port again: the same one as before. */
  async up(): Promise<void> {
    if (this.#server !== undefined) return
    const server = createServer(this.#listener)
    server.on('connection', () => this.#connections++)
    server.listen(this.#port, this.#host)
    await once(server, 'listening')
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }
}

/** Sends a part of a body, and then nothing more or, with `thenCut`, the end of the connection. */
export function sendPart(response: ServerResponse, bytes: Uint8Array, thenCut: boolean): void {
  response.flushHeaders()
  const after = (): void => {
    if (thenCut) response.destroy()
  }
  if (bytes.length === 0) setImmediate(after)
  else response.write(bytes, after)
}

import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One answer as it passed. */
export interface WitnessedAnswer {
  /** Decoded: `/example.com/!upper/@v/v1.0.0.zip`. */
  readonly path: string
  readonly status: number
  readonly body: Buffer
}

/** Stands between clients and a server, and remembers every answer that passed. */
export class Witness implements AsyncDisposable {
  /** All answers so far, in the order in which they ended. */
  readonly answers: WitnessedAnswer[] = []
  /** Whom requests go to. May be set to another port, as after a restart. */
  target: string
  readonly #server = createServer((asked, response) => this.#forward(asked, response))

  static async before(target: string): Promise<Witness> {
    const witness = new Witness(target)
    // A busy test must not meet a connection that is closed at that moment.
    witness.#server.keepAliveTimeout = 600_000
    witness.#server.listen(0, '127.0.0.1')
    await once(witness.#server, 'listening')
    return witness
  }

  private constructor(target: string) {
    this.target = target
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** The answers to paths that hold a text. */
  about(text: string): readonly WitnessedAnswer[] {
    return this.answers.filter(({ path }) => path.includes(text))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  #forward(asked: IncomingMessage, response: ServerResponse): void {
    const { method, url = '/' } = asked
    const onward = request(this.target, { method, path: url, agent: false }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const { statusCode: status = 0 } = answer
        const body = Buffer.concat(chunks)
        this.answers.push({ path: decodeURIComponent(url), status, body })
        response.writeHead(status, { 'content-type': answer.headers['content-type'] })
        response.end(body)
      })
      answer.on('error', () => response.destroy())
    })
    onward.on('error', () => response.destroy())
    onward.end()
  }
}

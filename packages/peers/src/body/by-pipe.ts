import type { ByteSink } from '@modmesh/fill'
import type { Pipe } from '../pipe/pipe.ts'
import { bodyLimits } from './limits.ts'
import { type BodyCall, type BodyReply, whenCut } from './wire.ts'

/** Asks over a pipe, which is given back when all of the answer was read. */
export class PipeCall implements BodyCall {
  readonly #pipe: Pipe
  readonly #giveBack: () => void

  constructor(pipe: Pipe, giveBack: () => void) {
    this.#pipe = pipe
    this.#giveBack = giveBack
  }

  async ask(
    request: Uint8Array,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Uint8Array> {
    this.#pipe.demandSilence()
    await this.#pipe.write(request)
    return await this.#pipe.read({ signal, maxBytes: bodyLimits.headerBytes })
  }

  receive(sink: ByteSink, options: Parameters<BodyCall['receive']>[1]): Promise<void> {
    return this.#pipe.receive(sink, options)
  }

  async close(): Promise<void> {
    this.#pipe.demandSilence()
    this.#giveBack()
  }

  abort(): void {
    this.#pipe.destroy()
  }

  explain(error: unknown): unknown {
    return this.#pipe.isEndedByPeer ? whenCut(error) : error
  }
}

/** Answers over a pipe, one question after the other. */
export class PipeReply implements BodyReply {
  readonly #pipe: Pipe

  constructor(pipe: Pipe) {
    this.#pipe = pipe
  }

  read({ signal }: { readonly signal: AbortSignal }): Promise<Uint8Array> {
    return this.#pipe.read({ signal, maxBytes: bodyLimits.headerBytes })
  }

  async write(header: Uint8Array): Promise<void> {
    await this.#pipe.write(header)
  }

  send(
    chunks: Parameters<BodyReply['send']>[0],
    options: Parameters<BodyReply['send']>[1],
  ): Promise<void> {
    return this.#pipe.send(chunks, options)
  }

  async finish(options: Parameters<BodyReply['finish']>[0]): Promise<void> {
    await this.#pipe.finish(options)
    if (options.isShort) await this.#pipe.end()
  }
}

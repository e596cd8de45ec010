import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import type { PeerId } from '@modmesh/fill'
import { pipeLimits, pipeTimes } from './limits.ts'
import { pipeProtocol } from './message.ts'
import { acceptPipe } from './open-pipe.ts'
import type { Pipe } from './pipe.ts'
import type { PipeDoor } from './pipe-tls.ts'

/** Answers one question that has begun to come; false when nothing more can follow it. */
export type AnswerPipe = (pipe: Pipe, peer: PeerId) => Promise<boolean>

/** Opens pipes for members that ask for one, and has what comes over them answered. */
export class PipeHost {
  readonly #libp2p: Libp2p
  readonly #door: PipeDoor
  readonly #answer: AnswerPipe
  readonly #stop = new AbortController()
  readonly #pipes = new Set<Pipe>()

  constructor(components: {
    readonly libp2p: Libp2p
    readonly door: PipeDoor
    readonly answer: AnswerPipe
  }) {
    this.#libp2p = components.libp2p
    this.#door = components.door
    this.#answer = components.answer
  }

  async start(): Promise<void> {
    const limits = { maxInboundStreams: pipeLimits.perPeer, maxOutboundStreams: pipeLimits.perPeer }
    await this.#libp2p.handle(
      pipeProtocol,
      (stream, connection) => this.#serve(stream, connection),
      limits,
    )
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('node stops'))
    for (const pipe of this.#pipes) pipe.destroy()
    await this.#libp2p.unhandle(pipeProtocol)
  }

  /** Serves one pipe to its end; never rejects. */
  async #serve(stream: Stream, connection: Connection): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(pipeTimes.openMs)])
    const door = this.#door
    let pipe: Pipe
    try {
      pipe = await acceptPipe(stream, { connection, door }, { signal })
    } catch {
      // The stream is reset, and the asker goes by streams.
      return
    }
    this.#pipes.add(pipe)
    try {
      const peer = connection.remotePeer.toString()
      while (await this.#isAsked(pipe)) if (!(await this.#answer(pipe, peer))) break
    } finally {
      this.#pipes.delete(pipe)
      pipe.destroy()
    }
  }

  async #isAsked(pipe: Pipe): Promise<boolean> {
    const unused = setTimeout(() => pipe.destroy(), pipeTimes.holdMs)
    try {
      return await pipe.untilAsked()
    } finally {
      clearTimeout(unused)
    }
  }
}

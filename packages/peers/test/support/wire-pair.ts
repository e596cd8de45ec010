import type { Wire } from '../../src/control/wire.ts'

/** One direction of bytes in memory. */
class Pipe implements AsyncIterable<Uint8Array> {
  #pieces: Uint8Array[] = []
  #end: { readonly error: Error | undefined } | undefined
  #wake = Promise.withResolvers<void>()

  push(piece: Uint8Array): void {
    this.#pieces.push(piece)
    this.#wake.resolve()
  }

  end(error?: Error): void {
    this.#end ??= { error }
    this.#wake.resolve()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = this.#pieces.shift()
      if (piece !== undefined) yield piece
      else if (this.#end !== undefined) {
        if (this.#end.error !== undefined) throw this.#end.error
        return
      } else {
        this.#wake = Promise.withResolvers<void>()
        await this.#wake.promise
      }
    }
  }
}

/** A wire in memory whose other end a test holds by hand. */
export interface TestWire extends Wire {
  /** Feeds raw bytes to the session at this end. */
  feed(piece: Uint8Array): void
  readonly aborted: Promise<Error>
}

/** Two ends of one stream. With `stuck`, the first end's writes are never taken. */
export function wirePair(options: { readonly stuck?: boolean } = {}): [TestWire, TestWire] {
  const there = new Pipe()
  const back = new Pipe()
  return [end(back, there, options.stuck ?? false), end(there, back, false)]
}

function end(inward: Pipe, outward: Pipe, stuck: boolean): TestWire {
  const aborted = Promise.withResolvers<Error>()
  return {
    source: inward,
    feed: (piece) => inward.push(piece),
    aborted: aborted.promise,
    async sink(source) {
      for await (const piece of source) {
        if (stuck) await aborted.promise
        outward.push(piece)
      }
      outward.end()
    },
    abort(error) {
      aborted.resolve(error)
      inward.end(error)
      outward.end(error)
    },
  }
}

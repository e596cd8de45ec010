import { formatModuleVersion, type ModuleVersion, type ZipDigest } from '@modmesh/module'
import { BoundedMap } from './bounded-map.ts'
import type { Clock } from './clock.ts'
import { asError } from './errors.ts'
import { maxPartBytes, maxWholeBodies, partPieceBytes, partPollMs, partWaitMs } from './limits.ts'
import type { PartAsked, ZipPart } from './peers.ts'
import type { HeldZip } from './zip-store.ts'

/** A body on its way. */
export interface ComingBody {
  /** Told anew when it began anew. */
  readonly id: number
  /** Written so far. */
  readonly bytes: number
  /** Changes with what comes beside: what it is told in. */
  readonly moves: number
  read(range: { readonly start: number; readonly end: number }): Promise<Uint8Array>
}

/** A body that came whole and is what is held. */
interface WholeBody {
  readonly id: number
  readonly zipDigest: ZipDigest
}

/**
 * Gives those who wait for us what has come of a zip so far, in parts: they stream it while we receive
 * it. A part is read when it is asked for, so a slow reader costs no memory.
 */
export class ZipParts {
  readonly #clock: Clock
  readonly #findZip: (module: ModuleVersion) => Promise<HeldZip | undefined>
  readonly #coming = new Map<string, () => ComingBody | undefined>()
  readonly #whole = new BoundedMap<WholeBody>(maxWholeBodies)

  constructor(components: {
    readonly clock: Clock
    readonly findZip: (module: ModuleVersion) => Promise<HeldZip | undefined>
  }) {
    this.#clock = components.clock
    this.#findZip = components.findZip
  }

  /** Shows how far a zip has come; returns what ends that. */
  show(module: ModuleVersion, body: () => ComingBody | undefined): () => void {
    const key = formatModuleVersion(module)
    this.#coming.set(key, body)
    return () => {
      if (this.#coming.get(key) === body) this.#coming.delete(key)
    }
  }

  /** Tells that a body has come whole and was kept as it came. */
  showWhole(module: ModuleVersion, id: number, zipDigest: ZipDigest): void {
    this.#whole.set(formatModuleVersion(module), { id, zipDigest })
  }

  /** How far a zip has come that is being filled. */
  progressOf(module: ModuleVersion): Pick<ComingBody, 'bytes' | 'moves'> {
    return this.#coming.get(formatModuleVersion(module))?.() ?? { bytes: 0, moves: 0 }
  }

  /** The next part; undefined when there is none of that body. Waits a moment for more bytes. */
  async next(
    module: ModuleVersion,
    asked: PartAsked,
    options: { readonly signal: AbortSignal },
  ): Promise<ZipPart | undefined> {
    const untilMs = this.#clock.monotonicMs() + partWaitMs
    for (;;) {
      const part = await this.#find(module, asked)
      const isEmpty = part?.length === 0 && !part.isLast
      if (!isEmpty || this.#clock.monotonicMs() >= untilMs) return part
      await this.#clock.sleep(partPollMs, options)
    }
  }

  async #find(module: ModuleVersion, { body, offset }: PartAsked): Promise<ZipPart | undefined> {
    const zip = body === undefined ? undefined : await this.#findWhole(module, body)
    if (zip !== undefined && body !== undefined) {
      if (offset > zip.size) return undefined
      const length = Math.min(maxPartBytes, zip.size - offset)
      const end = offset + length
      return { body, length, isLast: end === zip.size, chunks: zip.read({ start: offset, end }) }
    }
    const coming = this.#coming.get(formatModuleVersion(module))?.()
    const isAsked = coming !== undefined && coming.id === (body ?? coming.id)
    if (!isAsked || offset > coming.bytes) return undefined
    const length = Math.min(maxPartBytes, coming.bytes - offset)
    const chunks = this.#pieces(module, coming, offset, length)
    return { body: coming.id, length, isLast: false, chunks }
  }

  /** What is held, if it is this body. */
  async #findWhole(module: ModuleVersion, id: number): Promise<HeldZip | undefined> {
    const whole = this.#whole.get(formatModuleVersion(module))
    if (whole?.id !== id) return undefined
    const zip = await this.#findZip(module)
    return zip?.zipDigest === whole.zipDigest ? zip : undefined
  }

  async *#pieces(
    module: ModuleVersion,
    body: ComingBody,
    offset: number,
    length: number,
  ): AsyncGenerator<Uint8Array> {
    for (let start = offset; start < offset + length; start += partPieceBytes) {
      const range = { start, end: Math.min(start + partPieceBytes, offset + length) }
      const piece = await body.read(range).catch((error: unknown) => asError(error))
      if (!(piece instanceof Error)) {
        yield piece
        continue
      }
      // It was kept meanwhile.
      const zip = await this.#findWhole(module, body.id)
      if (zip === undefined) throw piece
      yield* zip.read({ start, end: offset + length })
      return
    }
  }
}

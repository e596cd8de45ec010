import {
  DeltaRefusedError,
  type DeltaTalk,
  type HeldZip,
  type MissingFiles,
  type PeerDeltas,
  PeerError,
  type ZipDeltas,
  type ZipRebuild,
} from '@modmesh/fill'
import { untilAborted } from '@modmesh/fill/twins'
import { patient, type Release, type World } from './world.ts'

/** How a peer fails who asks it for a zip in parts, if it does. */
export type DeltaFault =
  | 'none'
  /** Another manifest. */
  | 'lies-of-manifest'
  /** Other files. */
  | 'lies-of-files'
  /** Sends what cannot be unpacked, in these forms. */
  | 'codec-of-P'
  | 'codec'
  /** Two lines of the sketch look alike, once, or whatever is asked. */
  | 'collision'
  | 'collisions'
  /** Goes away after three files. */
  | 'cut'
  /** Says nothing after the manifest. */
  | 'stall'
  | 'elsewhere'
  | 'whole'
  /** Another zip. */
  | 'wrong-whole'

/** The twin's files: so many bytes of the zip each. */
const fileBytes = 100
/** The far link of a peer that has deltas. */
const officeLink = { site: 'hq', rttMs: 40, bytesPerSecond: undefined }

/**
 * A mesh and a store in memory that tell one zip in parts: file `n` is its `n`th hundred bytes and travels as
 * its number and they.
 */
export class Deltas {
  readonly faults = new Map<string, DeltaFault>()
  /** Questions, as `peer`, with `sketch` and `manifest` where they had one. */
  readonly asked: string[] = []
  /** What was sent of files, as `peer form number`. */
  readonly sent: string[] = []
  readonly saved: string[] = []
  /** Whether rebuilds were ended for good. */
  readonly released: boolean[] = []
  /** Peers that hold the old version, too. */
  readonly sharing = new Set<string>()
  /** Our own disk tells another zip than came. */
  isDiskWrong = false
  readonly #zip: Uint8Array
  readonly #kept = new Map<number, Uint8Array>()
  #hasManifest = false
  #base: HeldZip | undefined

  constructor(world: World, release: Release) {
    this.#zip = release.zip
    Object.assign(world.peers, { deltas: this.#peers(world) })
    Object.assign(world.store, { deltas: this.#store() })
  }

  /** We hold an old version. */
  async hold(world: World, old: Release): Promise<void> {
    const staged = await world.store.stageZip(old.module)
    await staged.write(old.zip)
    await staged.verify(undefined, patient)
    this.#base = await staged.commit({ kind: 'go-sum' })
  }

  /** A member of another site that has it all. */
  holder(world: World, id: string, release: Release, fault: DeltaFault = 'none'): void {
    world.holder(id, release).far = officeLink
    this.faults.set(id, fault)
  }

  #peers(world: World): PeerDeltas {
    return {
      link: async (peer) =>
        world.peers.siteOf(peer) === undefined ? undefined : { bytesPerSecond: 2_500_000 },
      holds: (peer) => this.sharing.has(peer),
      saved: (peer, bytes) => void this.saved.push(`${peer} ${bytes}`),
      talk: async (peer, { bases, hasManifest }, { signal, onBytes }) => {
        const words = [peer, bases[0]?.sketch && 'sketch', hasManifest && 'manifest']
        this.asked.push(words.filter((word) => typeof word === 'string').join(' '))
        await world.clock.sleep(1, { signal })
        onBytes(10)
        return this.#talk(peer, bases.length > 0)
      },
    }
  }

  #talk(peer: string, hasBase: boolean): DeltaTalk {
    const fault = this.faults.get(peer) ?? 'none'
    return {
      answer: this.#answer(peer, fault, hasBase),
      receivedBytes: 50,
      zip: async (sink) => {
        const bytes = this.#zip.slice()
        if (fault === 'wrong-whole') bytes[0] = 255
        await sink.write(bytes)
      },
      files: async ({ form, files }, sink, { signal }) => {
        let sent = 0
        for (const number of files) {
          if (fault === 'stall') await untilAborted(signal)
          if (fault === 'cut' && sent++ === 3) throw new PeerError(peer, 'cut', { fault: 'unable' })
          this.sent.push(`${peer} ${form} ${number}`)
          await sink.write(this.#fileOf(number, fault, form))
        }
      },
      [Symbol.asyncDispose]: async () => {},
    }
  }

  #answer(peer: string, fault: DeltaFault, hasBase: boolean): DeltaTalk['answer'] {
    if (fault === 'elsewhere') return { kind: 'elsewhere' }
    if (fault === 'whole' || fault === 'wrong-whole') return { kind: 'whole' }
    const told = {
      base: hasBase ? 0 : undefined,
      isBaseShared: hasBase && this.sharing.has(peer),
      packed: new TextEncoder().encode(fault),
      zipBytes: this.#zip.length,
      newBytes: this.#zip.length * 4,
      newPackedBytes: this.#zip.length,
    }
    return { kind: 'manifest', told }
  }

  #fileOf(number: number, fault: DeltaFault, form: string): Uint8Array {
    const start = number * fileBytes
    const content = this.#zip.slice(start, start + fileBytes)
    if (fault === 'lies-of-files') content[7] = 255
    const isBroken = fault === 'codec' || (fault === 'codec-of-P' && form === 'P')
    return Uint8Array.of(number, isBroken ? 1 : 0, ...content)
  }

  #store(): ZipDeltas {
    return {
      rebuild: async () => this.#rebuild(),
      offer: () => {
        throw new Error('nobody asks us')
      },
    }
  }

  #rebuild(): ZipRebuild {
    const hasManifest = () => this.#hasManifest
    return {
      bases: this.#base === undefined ? [] : [this.#base],
      get hasManifest() {
        return hasManifest()
      },
      sketch: async () => Uint8Array.of(1),
      takeManifest: async ({ packed }) => this.#takeManifest(new TextDecoder().decode(packed)),
      missing: () => this.#missing(),
      receive: (form) => ({
        write: async (chunk) => this.#take(chunk, form),
        end: async () => {},
      }),
      writeTo: async (sink) => {
        if (this.#missing().allCount > 0) throw new Error('something is missing')
        for (const number of this.#numbers()) {
          const bytes = this.#kept.get(number)?.slice() ?? new Uint8Array()
          if (this.isDiskWrong && number === 0) bytes[0] = 255
          await sink.write(bytes)
        }
      },
      release: async (isFinished) => {
        this.released.push(isFinished)
        if (!isFinished) return
        this.#kept.clear()
        this.#hasManifest = false
      },
    }
  }

  #takeManifest(fault: string): void {
    if (fault === 'lies-of-manifest') throw new DeltaRefusedError('lie', 'not the h1')
    const isSketched = this.asked.at(-1)?.includes('sketch') ?? false
    const isCollision = fault === 'collisions' || (fault === 'collision' && isSketched)
    if (isCollision) throw new DeltaRefusedError('collision', 'not the h1')
    this.#hasManifest = true
  }

  #take(chunk: Uint8Array, form: string): void {
    const [number = 0, broken] = chunk
    if (broken === 1) throw new DeltaRefusedError('codec', `cannot unpack ${form}`)
    const content = chunk.slice(2)
    const start = number * fileBytes
    const due = this.#zip.subarray(start, start + fileBytes)
    if (Buffer.compare(content, due) !== 0) throw new DeltaRefusedError('lie', 'another file')
    this.#kept.set(number, content)
  }

  /** Even ones were changed, odd ones added; all were, where we hold nothing. */
  #missing(): MissingFiles {
    const all = this.#numbers().filter((number) => !this.#kept.has(number))
    const changed = this.#base === undefined ? [] : all.filter((number) => number % 2 === 0)
    const added = all.filter((number) => !changed.includes(number))
    return {
      changed: Uint8Array.from(changed),
      added: Uint8Array.from(added),
      all: Uint8Array.from(all),
      changedCount: changed.length,
      addedCount: added.length,
      allCount: all.length,
    }
  }

  #numbers(): number[] {
    return Array.from({ length: Math.ceil(this.#zip.length / fileBytes) }, (_, n) => n)
  }
}

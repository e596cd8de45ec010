import { placeSum } from './journal-place.ts'

/** Up to where an index knows the journal, and what it must then hold. */
export interface JournalStamp {
  readonly segment: number
  readonly end: number
  /** Frames written so far, superseded ones included. */
  readonly frames: number
  /** Keys held, and a sum over keys and places: an index that lost an update is noticed. */
  readonly keys: number
  readonly sum: number
}

/** What changed: for the index. `place` is undefined for a dropped key. */
export interface JournalChange {
  readonly key: string
  readonly place: number | undefined
}

/** What a journal holds by now, and the sums by which an index is compared with it. */
export class JournalContents {
  readonly places: Map<string, number>
  /** Written so far, superseded ones included. */
  frames: number
  #sum = 0

  constructor(places: Map<string, number> = new Map(), frames = 0) {
    this.places = places
    this.frames = frames
    for (const [key, place] of places) this.#sum ^= placeSum(key, place)
  }

  /** Over keys and places, whatever the order. */
  get sum(): number {
    return this.#sum
  }

  change({ key, place }: JournalChange): void {
    const old = this.places.get(key)
    if (old !== undefined) this.#sum ^= placeSum(key, old)
    if (place === undefined) {
      this.places.delete(key)
      return
    }
    this.places.set(key, place)
    this.#sum ^= placeSum(key, place)
  }
}

import { randomBytes } from 'node:crypto'
import { type ZipHash, zipHashBytes } from '@modmesh/module'
import { contentKeyBytes } from './message.ts'

const firstSlots = 16

/** The first 8 bytes of a content: what inventories and have-queries carry. */
export function contentKey(zipHash: ZipHash): Uint8Array {
  return zipHashBytes(zipHash).subarray(0, contentKeyBytes)
}

/**
 * A set of content keys in flat memory: 8 bytes per slot, at most three quarters full. The place of
 * a key depends on a secret of the set, so a peer cannot choose keys that collide.
 */
export class ContentSet {
  #slots = new Uint32Array(firstSlots * 2)
  #size = 0
  #hasZero = false
  readonly #seed: number

  constructor(seed: number = randomBytes(4).readUInt32LE()) {
    this.#seed = seed
  }

  get size(): number {
    return this.#size + (this.#hasZero ? 1 : 0)
  }

  /** Memory of the table, bytes. */
  get byteLength(): number {
    return this.#slots.byteLength
  }

  has(key: Uint8Array): boolean {
    const high = word(key, 0)
    const low = word(key, 4)
    if (high === 0 && low === 0) return this.#hasZero
    const slot = this.#find(high, low)
    return this.#slots[slot] === high && this.#slots[slot + 1] === low
  }

  /** Returns whether the key was new. */
  add(key: Uint8Array): boolean {
    const high = word(key, 0)
    const low = word(key, 4)
    if (high === 0 && low === 0) {
      const isNew = !this.#hasZero
      this.#hasZero = true
      return isNew
    }
    const slot = this.#find(high, low)
    if (this.#slots[slot] === high && this.#slots[slot + 1] === low) return false
    this.#slots[slot] = high
    this.#slots[slot + 1] = low
    this.#size += 1
    if (this.#size * 8 > this.#slots.length * 3) this.#grow()
    return true
  }

  /** Returns whether the key was there. */
  delete(key: Uint8Array): boolean {
    const high = word(key, 0)
    const low = word(key, 4)
    if (high === 0 && low === 0) {
      const was = this.#hasZero
      this.#hasZero = false
      return was
    }
    const slot = this.#find(high, low)
    if (this.#slots[slot] !== high || this.#slots[slot + 1] !== low) return false
    this.#close(slot)
    this.#size -= 1
    return true
  }

  clear(): void {
    this.#slots = new Uint32Array(firstSlots * 2)
    this.#size = 0
    this.#hasZero = false
  }

  /** All keys in one byte string, in no order. */
  toBytes(): Uint8Array {
    const out = new Uint8Array(this.size * contentKeyBytes)
    const view = new DataView(out.buffer)
    let at = this.#hasZero ? contentKeyBytes : 0
    for (let slot = 0; slot < this.#slots.length; slot += 2) {
      if (this.#isFree(slot)) continue
      view.setUint32(at, this.#slots[slot] ?? 0)
      view.setUint32(at + 4, this.#slots[slot + 1] ?? 0)
      at += contentKeyBytes
    }
    return out
  }

  /** The slot of a key, or the free one where it would go (linear probing). */
  #find(high: number, low: number): number {
    const mask = this.#slots.length - 1
    let slot = this.#home(high, low)
    while (!this.#isFree(slot)) {
      if (this.#slots[slot] === high && this.#slots[slot + 1] === low) return slot
      slot = (slot + 2) & mask
    }
    return slot
  }

  #home(high: number, low: number): number {
    let mixed = Math.imul(high ^ this.#seed, 0x85eb_ca6b)
    mixed = Math.imul(mixed ^ (mixed >>> 15) ^ low, 0xc2b2_ae35)
    mixed = Math.imul(mixed ^ (mixed >>> 13) ^ this.#seed, 0x27d4_eb2f)
    return ((mixed ^ (mixed >>> 16)) * 2) & (this.#slots.length - 1)
  }

  #isFree(slot: number): boolean {
    return this.#slots[slot] === 0 && this.#slots[slot + 1] === 0
  }

  /** Frees a slot and moves later keys of the same run back, so that no mark of it stays. */
  #close(freed: number): void {
    const mask = this.#slots.length - 1
    let hole = freed
    let slot = (hole + 2) & mask
    while (!this.#isFree(slot)) {
      const high = this.#slots[slot] ?? 0
      const low = this.#slots[slot + 1] ?? 0
      const fromHome = (slot - this.#home(high, low)) & mask
      if (fromHome >= ((slot - hole) & mask)) {
        this.#slots[hole] = high
        this.#slots[hole + 1] = low
        hole = slot
      }
      slot = (slot + 2) & mask
    }
    this.#slots[hole] = 0
    this.#slots[hole + 1] = 0
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Uint32Array(old.length * 2)
    for (let from = 0; from < old.length; from += 2) {
      const high = old[from] ?? 0
      const low = old[from + 1] ?? 0
      if (high === 0 && low === 0) continue
      const slot = this.#find(high, low)
      this.#slots[slot] = high
      this.#slots[slot + 1] = low
    }
  }
}

/** Splits a byte string into its keys. */
export function* splitKeys(keys: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at + contentKeyBytes <= keys.length; at += contentKeyBytes) {
    yield keys.subarray(at, at + contentKeyBytes)
  }
}

/** Joins keys into one byte string. */
export function joinKeys(keys: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(keys.length * contentKeyBytes)
  for (const [index, key] of keys.entries()) out.set(key, index * contentKeyBytes)
  return out
}

function word(key: Uint8Array, at: number): number {
  return (
    (((key[at] ?? 0) << 24) |
      ((key[at + 1] ?? 0) << 16) |
      ((key[at + 2] ?? 0) << 8) |
      (key[at + 3] ?? 0)) >>>
    0
  )
}

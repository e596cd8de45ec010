/** A file of a module cache that was not taken, and why. */
export interface LeftLine {
  readonly module: string
  readonly what: 'zip' | 'mod' | 'info'
  readonly reason: string
}

/** What `adopt` did. Bytes are those of zip files. */
export interface AdoptReport {
  /** The folder that was read. */
  readonly cache: string
  /** Module versions of which it has files. */
  readonly versions: number
  readonly zips: {
    readonly added: number
    /** Were held already. */
    readonly present: number
    readonly addedBytes: number
    /** Of those added: taken without being copied. */
    readonly sharedBytes: number
    /** Of those added: copied, because another file system or another owner left no other way. */
    readonly copied: number
    readonly copiedBytes: number
    /** Of those added: written in the form that every parser reads alike. */
    readonly rewritten: number
    readonly rewrittenBytes: number
  }
  readonly mods: { readonly added: number; readonly present: number }
  readonly infos: {
    readonly added: number
    readonly present: number
    /** Have another time than the pseudo-version: upstream alone is believed about those. */
    readonly passedOver: number
  }
  /** Not what it should be: never taken. */
  readonly refused: readonly LeftLine[]
  /** Could not be read. */
  readonly failed: readonly LeftLine[]
  /** Nobody vouches for it, as far as could be found out now: not taken, and not served. */
  readonly unproven: readonly LeftLine[]
  readonly hashedBytes: number
  readonly tookMs: number
}

/** Counts while a cache is adopted. */
export class AdoptTally {
  readonly #startedMs = performance.now()
  readonly #zips = {
    added: 0,
    present: 0,
    addedBytes: 0,
    sharedBytes: 0,
    copied: 0,
    copiedBytes: 0,
    rewritten: 0,
    rewrittenBytes: 0,
  }
  readonly #parts = { mod: { added: 0, present: 0 }, info: { added: 0, present: 0 } }
  readonly #left: Record<'refused' | 'failed' | 'unproven', LeftLine[]> = {
    refused: [],
    failed: [],
    unproven: [],
  }
  #hashedBytes = 0
  #infosPassedOver = 0

  hashed(bytes: number): void {
    this.#hashedBytes += bytes
  }

  zipAdded(how: 'cloned' | 'linked' | 'copied' | 'rewritten', bytes: number): void {
    const zips = this.#zips
    zips.added += 1
    zips.addedBytes += bytes
    if (how === 'copied' || how === 'rewritten') {
      zips[how] += 1
      zips[`${how}Bytes`] += bytes
    } else zips.sharedBytes += bytes
  }

  zipPresent(): void {
    this.#zips.present += 1
  }

  part(what: 'mod' | 'info', outcome: 'added' | 'present'): void {
    this.#parts[what][outcome] += 1
  }

  infoPassedOver(): void {
    this.#infosPassedOver += 1
  }

  left(why: 'refused' | 'failed' | 'unproven', line: LeftLine): void {
    this.#left[why].push(line)
  }

  report(cache: string, versions: number): AdoptReport {
    const { mod: mods, info: infos } = this.#parts
    return {
      cache,
      versions,
      zips: { ...this.#zips },
      mods: { ...mods },
      infos: { ...infos, passedOver: this.#infosPassedOver },
      refused: sorted(this.#left.refused),
      failed: sorted(this.#left.failed),
      unproven: sorted(this.#left.unproven),
      hashedBytes: this.#hashedBytes,
      tookMs: Math.round(performance.now() - this.#startedMs),
    }
  }
}

function sorted(lines: readonly LeftLine[]): readonly LeftLine[] {
  return lines.toSorted((a, b) => (`${a.module} ${a.what}` < `${b.module} ${b.what}` ? -1 : 1))
}

import { createHash } from 'node:crypto'
import { InvalidFileError } from './errors.ts'
import { maxManifestNameBytes, maxZipEntries } from './limits.ts'
import type { ManifestLine } from './manifest.ts'
import { VarintReader, VarintWriter } from './varints.ts'

/**
 * How one manifest is made of another: what is copied, dropped, changed and added. The script holds
 * runs and names and packs well; the hashes are random bytes and do not.
 */
export interface ManifestDifference {
  readonly script: Uint8Array
  /** 32 bytes for each line that is changed or added, in order. */
  readonly hashes: Uint8Array
}

/** A manifest's lines, and what its names begin with: `path@version/`, which tells two versions' names apart. */
export interface PrefixedLines {
  readonly prefix: string
  /** In byte order of the names, as parseManifest gives them. */
  readonly lines: readonly ManifestLine[]
}

/** What the difference must know of the manifest it begins with. */
export interface BaseLines {
  readonly count: number
  /** The line with this name, which is without the prefix. */
  find(name: string): number | undefined
  /** Whether the line's file has this hash. */
  isSame(index: number, sha256: Uint8Array): boolean
}

/** Tells a manifest as a difference against lines that the reader has; without a base, as a whole. */
export function diffManifest(target: PrefixedLines, base: BaseLines = noLines): ManifestDifference {
  const script = new ScriptWriter()
  const hashes: Uint8Array[] = []
  let next = 0
  for (const { name: full, sha256 } of target.lines) {
    const name = full.slice(target.prefix.length)
    const at = base.find(name)
    const isKnown = at !== undefined && at >= next
    const isCopied = isKnown && base.isSame(at, sha256)
    if (!isCopied) hashes.push(sha256)
    if (isKnown) {
      script.run('drop', at - next)
      script.run(isCopied ? 'copy' : 'change', 1)
      next = at + 1
    } else script.add()
    script.name(name, !isKnown)
  }
  return { script: script.finish(), hashes: joinHashes(hashes) }
}

/**
 * Makes the manifest of a difference and of the lines it begins with. Memory is bounded by the limits
 * of a zip, whatever the difference says. Throws InvalidFileError. Whether it is the right one only
 * hashManifest can say.
 */
export function applyManifestDifference(
  { script, hashes }: ManifestDifference,
  prefix: string,
  base: PrefixedLines = { prefix: '', lines: [] },
): ManifestLine[] {
  return new ScriptRun({ script, hashes }, prefix, base).lines()
}

/** What a reader has, exactly. */
export function exactBase({ prefix, lines }: PrefixedLines): BaseLines {
  const byName = new Map(lines.map(({ name }, index) => [name.slice(prefix.length), index]))
  return {
    count: lines.length,
    find: (name) => byName.get(name),
    isSame: (index, sha256) => equal(lines[index]?.sha256, sha256, 32),
  }
}

/** Tells a manifest in seven bytes a line, for a writer that has not the same: enough to see what is the same. */
export function sketchManifest({ prefix, lines }: PrefixedLines): Uint8Array {
  const sketch = new Uint8Array(lines.length * sketchLineBytes)
  for (const [index, { name, sha256 }] of lines.entries()) {
    const at = index * sketchLineBytes
    sketch.set(nameKey(name.slice(prefix.length)), at)
    sketch.set(sha256.subarray(0, sketchHashBytes), at + sketchNameBytes)
  }
  return sketch
}

/**
 * Reads a sketch. Two lines may look alike, once in thousands of modules: what is made of the difference has
 * another hash then, and nobody is to blame. Throws InvalidFileError.
 */
export function sketchedBase(sketch: Uint8Array): BaseLines {
  const count = sketch.length / sketchLineBytes
  if (!Number.isInteger(count) || count > maxZipEntries) {
    throw new InvalidFileError('manifest sketch', 'impossible length')
  }
  const byKey = new Map<string, number | undefined>()
  for (let index = 0; index < count; index++) {
    const at = index * sketchLineBytes
    const key = keyText(sketch.subarray(at, at + sketchNameBytes))
    byKey.set(key, byKey.has(key) ? undefined : index)
  }
  return {
    count,
    find: (name) => byKey.get(keyText(nameKey(name))),
    isSame: (index, sha256) => {
      const at = index * sketchLineBytes + sketchNameBytes
      return equal(sketch.subarray(at, at + sketchHashBytes), sha256, sketchHashBytes)
    },
  }
}

type RunKind = 'copy' | 'drop' | 'change' | 'add'
const runKinds = ['copy', 'drop', 'change', 'add'] as const satisfies readonly RunKind[]

/** Runs of one kind are joined; the names of an `add` run follow it. */
class ScriptWriter {
  readonly #out = new VarintWriter()
  #kind: RunKind = 'copy'
  #length = 0
  #names: Uint8Array[] = []
  #previous: Uint8Array = new Uint8Array()

  run(kind: RunKind, length: number): void {
    if (length === 0) return
    if (kind !== this.#kind) this.#flush()
    this.#kind = kind
    this.#length += length
  }

  add(): void {
    this.run('add', 1)
  }

  /** Notes a line's name: what the next one may share, and what is told of an added one. */
  name(name: string, isAdded: boolean): void {
    const bytes = encoder.encode(name)
    if (isAdded) {
      const shared = sharedLength(this.#previous, bytes)
      const told = new VarintWriter()
      told.number(shared)
      told.number(bytes.length - shared)
      told.bytes(bytes.subarray(shared))
      this.#names.push(told.finish())
    }
    this.#previous = bytes
  }

  finish(): Uint8Array {
    this.#flush()
    return this.#out.finish()
  }

  #flush(): void {
    if (this.#length > 0)
      this.#out.number(this.#length * runKinds.length + runKinds.indexOf(this.#kind))
    for (const name of this.#names) this.#out.bytes(name)
    this.#length = 0
    this.#names = []
  }
}

/** One reading of a script, with everything that bounds it. */
class ScriptRun {
  readonly #script: VarintReader
  readonly #hashes: VarintReader
  readonly #prefix: string
  readonly #base: PrefixedLines
  readonly #lines: ManifestLine[] = []
  #next = 0
  #previous: Uint8Array = new Uint8Array()
  #nameBytes = 0

  constructor({ script, hashes }: ManifestDifference, prefix: string, base: PrefixedLines) {
    this.#script = new VarintReader(script, what)
    this.#hashes = new VarintReader(hashes, what)
    this.#prefix = prefix
    this.#base = base
  }

  lines(): ManifestLine[] {
    while (!this.#script.isAtEnd) {
      const run = this.#script.number(maxZipEntries * runKinds.length)
      const length = Math.floor(run / runKinds.length)
      if (length === 0) throw this.#script.fault('an empty run')
      this.#run(runKinds[run % runKinds.length] ?? 'add', length)
    }
    if (!this.#hashes.isAtEnd) throw this.#script.fault('more hashes than lines')
    return this.#lines
  }

  #run(kind: RunKind, length: number): void {
    if (kind !== 'add' && this.#next + length > this.#base.lines.length) {
      throw this.#script.fault('goes past the end of its base')
    }
    if (kind === 'drop') {
      this.#next += length
      return
    }
    for (let i = 0; i < length; i++) {
      if (kind === 'add') this.#push(this.#addedName(), this.#hash())
      else this.#take(kind)
    }
  }

  #take(kind: 'copy' | 'change'): void {
    const line = this.#base.lines[this.#next++]
    if (line === undefined) throw this.#script.fault('goes past the end of its base')
    const name = encoder.encode(line.name.slice(this.#base.prefix.length))
    this.#push(name, kind === 'copy' ? line.sha256 : this.#hash())
  }

  #addedName(): Uint8Array {
    const shared = this.#script.number(this.#previous.length)
    const rest = this.#script.bytes(this.#script.number(maxNameBytes - shared))
    const name = new Uint8Array(shared + rest.length)
    name.set(this.#previous.subarray(0, shared))
    name.set(rest, shared)
    return name
  }

  #hash(): Uint8Array {
    return this.#hashes.bytes(32).slice()
  }

  #push(name: Uint8Array, sha256: Uint8Array): void {
    this.#nameBytes += name.length + this.#prefix.length
    const isTooMuch = this.#lines.length >= maxZipEntries || this.#nameBytes > maxManifestNameBytes
    if (isTooMuch) throw this.#script.fault('more than a zip may have')
    if (this.#lines.length > 0 && compare(this.#previous, name) >= 0) {
      throw this.#script.fault('names are not in order')
    }
    this.#previous = name
    this.#lines.push({ name: this.#prefix + this.#decode(name), sha256 })
  }

  #decode(name: Uint8Array): string {
    try {
      return decoder.decode(name)
    } catch {
      throw this.#script.fault('a name is not valid UTF-8')
    }
  }
}

function joinHashes(hashes: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(hashes.length * 32)
  for (const [index, hash] of hashes.entries()) joined.set(hash, index * 32)
  return joined
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length++
  return length
}

function compare(a: Uint8Array, b: Uint8Array): number {
  const shared = sharedLength(a, b)
  return (a[shared] ?? -1) - (b[shared] ?? -1)
}

function equal(a: Uint8Array | undefined, b: Uint8Array, length: number): boolean {
  for (let i = 0; i < length; i++) if (a?.[i] !== b[i]) return false
  return true
}

function nameKey(name: string): Uint8Array {
  return createHash('sha256').update(name).digest().subarray(0, sketchNameBytes)
}

function keyText(key: Uint8Array): string {
  return String.fromCharCode(...key)
}

const noLines: BaseLines = { count: 0, find: () => undefined, isSame: () => false }
const what = 'manifest difference'
const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** The length of a name in a zip has 16 bits. */
const maxNameBytes = 0xffff
/** Of 26,000 names, the most of any real module, two share four bytes once in a dozen modules; the writer sees it. */
const sketchNameBytes = 4
/** A changed file of the same name passes for the old one once in 16 million. */
const sketchHashBytes = 3
const sketchLineBytes: number = sketchNameBytes + sketchHashBytes

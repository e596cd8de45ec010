import { Readable } from 'node:stream'
import {
  type Answer,
  type HeldZip,
  ModuleNotFoundError,
  type ModuleSource,
  type ProvenSums,
  type Source,
} from '@modmesh/fill'
import { formatModuleVersion, hashMod, parseZipDigest, parseZipHash } from '@modmesh/module'

/** The 26 letters: easy to cut ranges from. */
export const zipText = 'abcdefghijklmnopqrstuvwxyz'
export const zipDigest = 'd'.repeat(64)
export const modText = 'module example.com/m\n'
export const infoText = '{"Version":"v1.0.0"}'

/** A source that answers what a test put in, and says what it was asked. */
export interface FakeSource extends ModuleSource {
  peek?: NonNullable<ModuleSource['peek']>
  readonly asked: string[]
  /** Thrown instead of every answer. */
  error: Error | undefined
  /** Held back until this resolves. */
  gate: Promise<void>
  from: Source
  ageMs: number | undefined
  zipBytes: Uint8Array
  /** The declared size, where it differs. */
  zipSize: number | undefined
  /** Makes the body fail after so many bytes. */
  zipFailsAfter: number | undefined
  readonly signals: AbortSignal[]
  /** What `peek` was asked, where it answered. */
  readonly peeked: string[]
}

export function fakeSource(): FakeSource {
  const answer = async <T>(
    name: string,
    options: { signal: AbortSignal; cachedOnly?: boolean },
    value: T,
  ): Promise<Answer<T>> => {
    source.asked.push(options.cachedOnly === true ? `${name} (cached only)` : name)
    source.signals.push(options.signal)
    await source.gate
    if (source.error !== undefined) throw source.error
    const { from, ageMs } = source
    return ageMs === undefined ? { value, source: from } : { value, source: from, ageMs }
  }
  const source: FakeSource = {
    asked: [],
    error: undefined,
    gate: Promise.resolve(),
    from: { kind: 'store' },
    ageMs: undefined,
    zipBytes: Buffer.from(zipText),
    zipSize: undefined,
    zipFailsAfter: undefined,
    signals: [],
    peeked: [],
    zip: (module, options) =>
      answer(`zip ${formatModuleVersion(module)}`, options, heldZip(source, module)),
    mod: (module, options) =>
      answer(`mod ${formatModuleVersion(module)}`, options, Buffer.from(modText)),
    info: (module, options) =>
      answer(`info ${formatModuleVersion(module)}`, options, Buffer.from(infoText)),
    list: (path, options) => answer(`list ${path}`, options, Buffer.from('v1.0.0\n')),
    latest: (path, options) => answer(`latest ${path}`, options, Buffer.from(infoText)),
    query: (path, query, options) =>
      answer(`query ${path}@${query}`, options, Buffer.from(infoText)),
    sums: async (module, options) =>
      (await answer(`sums ${formatModuleVersion(module)}`, options, provenSums())).value,
  }
  return source
}

/** Makes a source answer from memory, too: with what it answers else. */
export function withMemory(source: FakeSource): FakeSource {
  const bodies = new Map(
    Object.entries({ list: 'v1.0.0\n', mod: modText }).map(([k, v]) => [k, Buffer.from(v)]),
  )
  const info = Buffer.from(infoText)
  source.peek = (what, path, version) => {
    if (source.error !== undefined) return undefined
    source.peeked.push(version === undefined ? `${what} ${path}` : `${what} ${path}@${version}`)
    const { from, ageMs } = source
    const value = bodies.get(what) ?? info
    return ageMs === undefined ? { value, source: from } : { value, source: from, ageMs }
  }
  return source
}

export function notFound(): ModuleNotFoundError {
  return new ModuleNotFoundError('example.com/m@v1.0.0\nhttps://proxy.test: 404 Not Found')
}

function heldZip(source: FakeSource, module: HeldZip['module']): HeldZip {
  return {
    module,
    zipHash: parseZipHash('h1:G7mAYYxgmS0lVkHyy2hEOLQCFB0DlQFTMLWggykrydY='),
    zipDigest: parseZipDigest(zipDigest),
    size: source.zipSize ?? source.zipBytes.length,
    proof: { kind: 'upstream' },
    read: (range) =>
      Readable.from(chunks(source, range?.start ?? 0, range?.end ?? source.zipBytes.length), {
        objectMode: false,
      }),
  }
}

function* chunks(source: FakeSource, start: number, end: number): Generator<Uint8Array> {
  const bytes = source.zipBytes.subarray(start, end)
  const { zipFailsAfter = Infinity } = source
  if (zipFailsAfter < bytes.length) {
    if (zipFailsAfter > 0) yield bytes.subarray(0, zipFailsAfter)
    throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' })
  }
  // As a file is read.
  for (let at = 0; at < bytes.length; at += 64 << 10) yield bytes.subarray(at, at + (64 << 10))
}

function provenSums(): ProvenSums {
  return { zip: undefined, mod: hashMod(Buffer.from(modText)), proof: { kind: 'go-sum' } }
}

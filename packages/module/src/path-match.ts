/** A piece of a glob that matches exactly one character. */
type Single =
  | { readonly kind: 'literal'; readonly char: string }
  | { readonly kind: 'any' }
  | { readonly kind: 'class'; readonly negated: boolean; readonly ranges: readonly Range[] }

type Range = readonly [low: string, high: string]

/** Single characters in a row, possibly after a star. */
interface Chunk {
  readonly star: boolean
  readonly singles: readonly Single[]
}

/** A glob of Go's path.Match, ready to be applied. */
export type Glob = readonly Chunk[]

/** Parses a glob of Go's path.Match: `*`, `?`, `[a-z]`, `[^a]` and `\`. Returns undefined when it is malformed. */
export function parseGlob(text: string): Glob | undefined {
  const chars = Array.from(text)
  const chunks: Chunk[] = []
  for (let at = 0; at < chars.length; ) {
    const star = chars[at] === '*'
    while (chars[at] === '*') at++
    const singles: Single[] = []
    while (at < chars.length && chars[at] !== '*') {
      const parsed = parseSingle(chars, at)
      if (parsed === undefined) return undefined
      singles.push(parsed.value)
      at = parsed.end
    }
    chunks.push({ star, singles })
  }
  return chunks
}

interface Parsed<T> {
  readonly value: T
  readonly end: number
}

function parseSingle(chars: readonly string[], at: number): Parsed<Single> | undefined {
  if (chars[at] === '[') return parseClass(chars, at + 1)
  if (chars[at] === '?') return { value: { kind: 'any' }, end: at + 1 }
  const start = chars[at] === '\\' ? at + 1 : at
  const char = chars[start]
  return char === undefined ? undefined : { value: { kind: 'literal', char }, end: start + 1 }
}

function parseClass(chars: readonly string[], start: number): Parsed<Single> | undefined {
  const negated = chars[start] === '^'
  const ranges: Range[] = []
  let at = negated ? start + 1 : start
  while (ranges.length === 0 || chars[at] !== ']') {
    const low = parseBound(chars, at)
    const high = low && chars[low.end] === '-' ? parseBound(chars, low.end + 1) : low
    if (low === undefined || high === undefined) return undefined
    ranges.push([low.value, high.value])
    at = high.end
  }
  return { value: { kind: 'class', negated, ranges }, end: at + 1 }
}

function parseBound(chars: readonly string[], at: number): Parsed<string> | undefined {
  if (chars[at] === '-' || chars[at] === ']') return undefined
  const start = chars[at] === '\\' ? at + 1 : at
  const value = chars[start]
  return value === undefined ? undefined : { value, end: start + 1 }
}

/**
 * Whether a glob matches a whole name, as Go's path.Match: each chunk takes the first place that fits
 * and is never moved again, so the work is at most name length times glob length.
 */
export function matchesGlob(glob: Glob, name: string): boolean {
  const chars = Array.from(name)
  let at = 0
  for (const [i, chunk] of glob.entries()) {
    const end = placeChunk(chunk, chars, at, i === glob.length - 1)
    if (end === undefined) return false
    at = end
  }
  return at === chars.length
}

/** Returns where the chunk ends, or undefined when it fits nowhere. The last chunk must reach the end. */
function placeChunk(
  chunk: Chunk,
  chars: readonly string[],
  start: number,
  isLast: boolean,
): number | undefined {
  if (chunk.star && chunk.singles.length === 0) {
    return chars.indexOf('/', start) < 0 ? chars.length : undefined
  }
  for (let at = start; ; at++) {
    const end = at + chunk.singles.length
    if (matchesAt(chunk.singles, chars, at) && (!isLast || end === chars.length)) return end
    if (!chunk.star || at >= chars.length || chars[at] === '/') return undefined
  }
}

function matchesAt(singles: readonly Single[], chars: readonly string[], at: number): boolean {
  return singles.every((single, i) => {
    const char = chars[at + i]
    return char !== undefined && matchesSingle(single, char)
  })
}

function matchesSingle(single: Single, char: string): boolean {
  switch (single.kind) {
    case 'literal':
      return char === single.char
    case 'any':
      return char !== '/'
    case 'class':
      return single.ranges.some((range) => isWithin(range, char)) !== single.negated
  }
}

function isWithin([low, high]: Range, char: string): boolean {
  return rank(low) <= rank(char) && rank(char) <= rank(high)
}

function rank(char: string): number {
  return char.codePointAt(0) ?? 0
}

/**
 * Compares two texts as their UTF-8 bytes, which is how Go orders strings: returns -1, 0 or 1.
 * JavaScript's own order is that of UTF-16 units and puts U+10400 before U+FB01.
 */
export function compareBytes(a: string, b: string): number {
  const end = Math.min(a.length, b.length)
  for (let i = 0; i < end; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return utf8Rank(x) < utf8Rank(y) ? -1 : 1
  }
  return Math.sign(a.length - b.length)
}

/** Sorts a copy in UTF-8 byte order. */
export function sortByBytes<T>(items: readonly T[], name: (item: T) => string): T[] {
  const astral = items.some((item) => hasSurrogate(name(item)))
  const compare = astral ? compareBytes : compareUnits
  return [...items].sort((a, b) => compare(name(a), name(b)))
}

/** Compares by UTF-16 units: the engine's own fast path, right when no surrogate is present. */
function compareUnits(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function hasSurrogate(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xf800) === 0xd800) return true
  }
  return false
}

/** Moves the surrogates above U+E000..U+FFFF: what they encode takes four bytes in UTF-8. */
function utf8Rank(unit: number): number {
  if (unit < 0xd800) return unit
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800
}

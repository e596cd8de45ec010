/** Levels of a tree of 2^63 records in tiles of height 8. */
const maxLevel = 7

/**
 * Whether a text is `tile/8/L/K[.p/W]` (design 25530): K in groups of three digits, all but the last with
 * an `x` before, without leading zero groups; 1 <= W < 256.
 */
export function isTilePath(text: string): boolean {
  const segments = text.split('/')
  if (segments[0] !== 'tile' || segments[1] !== '8') return false
  const level = segments[2] ?? ''
  if (level.length !== 1 || !isDigits(level) || Number(level) > maxLevel) return false
  return isCoordinate(segments.slice(3))
}

/** Whether a tile's path names less than 256 hashes, so that it may still grow. */
export function isPartialTile(path: string): boolean {
  return path.includes('.p/')
}

function isCoordinate(segments: readonly string[]): boolean {
  const groups = [...segments]
  if (groups.at(-2)?.endsWith('.p')) {
    const width = groups.pop() ?? ''
    if (!isWidth(width)) return false
    groups.push((groups.pop() ?? '').slice(0, -2))
  }
  if (groups.length === 0 || groups.length > 7) return false
  if (groups.length > 1 && groups[0] === 'x000') return false
  return groups.every((group, index) =>
    index === groups.length - 1 ? isGroup(group) : group.startsWith('x') && isGroup(group.slice(1)),
  )
}

function isWidth(text: string): boolean {
  return text.length <= 3 && isDigits(text) && text[0] !== '0' && Number(text) < 256
}

function isGroup(text: string): boolean {
  return text.length === 3 && isDigits(text)
}

function isDigits(text: string): boolean {
  if (text === '') return false
  for (const char of text) if (char < '0' || char > '9') return false
  return true
}

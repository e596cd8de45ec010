const unitsMs: readonly (readonly [unit: string, ms: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
]

/** Ten years: a longer age is a slip of the pen. Milliseconds. */
const maxAgeMs = 3_650 * 86_400_000

/** Reads `0`, `90s`, `30m`, `12h` or `7d` into milliseconds; undefined when it is none of them. */
export function parseAge(text: string): number | undefined {
  if (text === '0') return 0
  const factor = unitsMs.find(([unit]) => text.endsWith(unit))?.[1]
  const digits = text.slice(0, -1)
  if (factor === undefined || digits === '' || digits.length > 9) return undefined
  if (!Array.from(digits).every((c) => c >= '0' && c <= '9')) return undefined
  const ms = Number(digits) * factor
  return ms <= maxAgeMs ? ms : undefined
}

/** Writes an age in the largest unit that holds it at least twice: `7d`, `36h`, `90s`. Rounds down; a wait is to be rounded up. */
export function formatAge(ms: number, round: 'down' | 'up' = 'down'): string {
  const [unit, factor] = unitsMs.find(([, size]) => ms >= 2 * size || ms === size) ?? ['s', 1_000]
  const count = Math.max(0, ms) / factor
  return `${round === 'up' ? Math.ceil(count) : Math.floor(count)}${unit}`
}

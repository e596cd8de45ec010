import { UsageError } from './errors.ts'

const unitMs: ReadonlyMap<string, number> = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** Reads `30m`, `12h`, `7d` into milliseconds. Throws UsageError that names the flag. */
export function parseDuration(flag: string, text: string): number {
  const unit = unitMs.get(text.slice(-1))
  const digits = text.slice(0, -1)
  const amount = Number(digits)
  if (
    unit === undefined ||
    !isWholeNumber(digits) ||
    !Number.isSafeInteger(amount) ||
    amount <= 0
  ) {
    throw new UsageError(
      `${flag}: ${JSON.stringify(text)} is not allowed; it takes a time such as 30m, 12h or 7d`,
    )
  }
  return amount * unit
}

function isWholeNumber(text: string): boolean {
  return text !== '' && Array.from(text).every((c) => c >= '0' && c <= '9')
}

/** Writes a time span with its two largest units: `3d4h`, `1m5s`, `0s`. */
export function formatDuration(ms: number): string {
  const parts: string[] = []
  let rest = Math.max(0, ms)
  for (const [name, size] of [...unitMs].reverse()) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0 && parts.length < 2) parts.push(`${count}${name}`)
    else if (parts.length > 0) break
  }
  return parts.join('') || '0s'
}

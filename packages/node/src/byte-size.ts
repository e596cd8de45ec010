const unitBytes: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['B', 1],
  ['K', 1e3],
  ['KB', 1e3],
  ['KIB', 2 ** 10],
  ['M', 1e6],
  ['MB', 1e6],
  ['MIB', 2 ** 20],
  ['G', 1e9],
  ['GB', 1e9],
  ['GIB', 2 ** 30],
  ['T', 1e12],
  ['TB', 1e12],
  ['TIB', 2 ** 40],
])

/** Reads `20GB`, `500M` (decimal, as disks are sold) or `20GiB` (binary); undefined for anything else. Bytes. */
export function parseByteSize(text: string): number | undefined {
  let end = 0
  while (end < text.length && isDigitOrDot(text[end] ?? '')) end++
  const factor = unitBytes.get(text.slice(end).trim().toUpperCase())
  const number = text.slice(0, end)
  if (factor === undefined || number === '' || number.split('.').length > 2) return undefined
  const bytes = Math.round(Number(number) * factor)
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined
}

function isDigitOrDot(c: string): boolean {
  return (c >= '0' && c <= '9') || c === '.'
}

/** Writes a size in decimal units, as disks and networks are sold. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000
    unit += 1
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`
}

import { isDigits } from './path-rules.ts'

/**
 * The Unix time of an RFC 3339 text in whole seconds (fractions cut off), or undefined when it is not one.
 * Follows the RFC with upper-case T and Z, real days and no leap second; Go takes a little more (`1:00:00`).
 */
export function rfc3339Seconds(text: string): number | undefined {
  if (text[10] !== 'T') return undefined
  const days = parseDay(text.slice(0, 10))
  const time = parseClock(text.slice(11, 19), ':')
  const offset = parseOffset(skipFraction(text.slice(19)))
  if (days === undefined || time === undefined || offset === undefined) return undefined
  return days * 86_400 + time - offset
}

/** Writes 14 digits (UTC, as in a pseudo-version) as RFC 3339, or returns undefined for an impossible time. */
export function formatTimestamp(digits: string): string | undefined {
  if (digits.length !== 14 || !isDigits(digits)) return undefined
  const [date, clock] = [digits.slice(0, 8), digits.slice(8)]
  const day = `${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`
  const text = `${day}T${clock.slice(0, 2)}:${clock.slice(2, 4)}:${clock.slice(4)}Z`
  return rfc3339Seconds(text) === undefined ? undefined : text
}

/** Days since 1970-01-01 of `YYYY-MM-DD` in the Gregorian calendar. */
function parseDay(text: string): number | undefined {
  const year = parseNumber(text.slice(0, 4), 0, 9999)
  const month = parseNumber(text.slice(5, 7), 1, 12)
  if (year === undefined || month === undefined) return undefined
  const day = parseNumber(text.slice(8, 10), 1, daysInMonth(year, month))
  if (day === undefined || text[4] !== '-' || text[7] !== '-') return undefined
  return daysBeforeYear(year) - daysBeforeYear(1970) + daysBeforeMonth(year, month) + day - 1
}

function daysBeforeYear(year: number): number {
  const past = year - 1
  return 365 * year + Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400)
}

function daysBeforeMonth(year: number, month: number): number {
  let days = 0
  for (let earlier = 1; earlier < month; earlier++) days += daysInMonth(year, earlier)
  return days
}

function daysInMonth(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  if (month === 2) return leap ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

/** Seconds of `HH:MM:SS`. */
function parseClock(text: string, separator: string): number | undefined {
  const hour = parseNumber(text.slice(0, 2), 0, 23)
  const minute = parseNumber(text.slice(3, 5), 0, 59)
  const second = parseNumber(text.slice(6, 8), 0, 59)
  if (hour === undefined || minute === undefined || second === undefined) return undefined
  if (text[2] !== separator || text[5] !== separator) return undefined
  return hour * 3600 + minute * 60 + second
}

/** What follows `.digits`; the text itself when there is no fraction. */
function skipFraction(text: string): string {
  if (text[0] !== '.') return text
  let end = 1
  while (isDigits(text.charAt(end))) end++
  return end > 1 ? text.slice(end) : text
}

/** Seconds east of UTC of `Z` or `±HH:MM`. */
function parseOffset(text: string): number | undefined {
  if (text === 'Z') return 0
  if (text.length !== 6 || (text[0] !== '+' && text[0] !== '-')) return undefined
  const seconds = parseClock(`${text.slice(1)}:00`, ':')
  if (seconds === undefined) return undefined
  return text[0] === '-' ? -seconds : seconds
}

function parseNumber(digits: string, low: number, high: number): number | undefined {
  const value = isDigits(digits) ? Number(digits) : Number.NaN
  return value >= low && value <= high ? value : undefined
}

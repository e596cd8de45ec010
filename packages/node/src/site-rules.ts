import type { DayWindow, SiteMode, SiteRule } from '@modmesh/peers'
import { parseByteRate } from './byte-rate.ts'

/** A text is no rule of a site link; the message says why. */
export class InvalidSiteRuleError extends Error {
  readonly code = 'INVALID_SITE_RULE'
  constructor(message: string) {
    super(message)
    this.name = 'InvalidSiteRuleError'
  }
}

/** What may be said of the link to a site: `SITE=WORDS`. */
export interface SiteLinkText {
  /** `*` is every site without words of its own. */
  readonly site: string
  readonly rules: readonly SiteRule[]
}

const modes: ReadonlySet<string> = new Set(['open', 'metered', 'paused', 'forbidden'])
const minutesOfDay = 1_440

/** Reads `SITE=WORDS`. Throws InvalidSiteRuleError. */
export function parseSiteLink(text: string): SiteLinkText {
  const at = text.indexOf('=')
  const site = text.slice(0, Math.max(at, 0)).trim()
  if (site === '') throw new InvalidSiteRuleError('it begins with the name of a site and `=`')
  return { site, rules: parseSiteRules(text.slice(at + 1)) }
}

/**
 * Reads words divided by spaces: each a mode (`open`, `metered`, `paused`, `forbidden`), a rate for both
 * directions, `up:RATE` or `down:RATE`; with `HH:MM-HH:MM=` before it holds in that part of the day only.
 * Throws InvalidSiteRuleError.
 */
export function parseSiteRules(text: string): readonly SiteRule[] {
  const words = text.split(' ').filter((word) => word !== '')
  if (words.length === 0) throw new InvalidSiteRuleError('it says nothing of the link')
  return words.map(parseWord)
}

/** Writes rules as they are read. */
export function formatSiteRules(rules: readonly SiteRule[]): string {
  return rules.map(formatRule).join(' ')
}

function parseWord(word: string): SiteRule {
  const at = word.indexOf('=')
  if (at < 0) return parseValue(word)
  return { window: parseWindow(word.slice(0, at)), ...parseValue(word.slice(at + 1)) }
}

function parseValue(word: string): SiteRule {
  if (isMode(word)) return { mode: word }
  if (word.startsWith('up:')) return { upRate: rateOf(word.slice('up:'.length), word) }
  if (word.startsWith('down:')) return { downRate: rateOf(word.slice('down:'.length), word) }
  const rate = rateOf(word, word)
  return { upRate: rate, downRate: rate }
}

function isMode(word: string): word is SiteMode {
  return modes.has(word)
}

/** A slower link moves nothing in the time that members wait for each other. Bytes per second. */
const leastRate = 16_000

function rateOf(text: string, word: string): number {
  const rate = parseByteRate(text)
  if (rate !== undefined && rate >= leastRate) return rate
  const known = 'open, metered, paused, forbidden, or a rate of at least 16kB/s, such as 2MB/s'
  throw new InvalidSiteRuleError(`${JSON.stringify(word)} is none of: ${known}`)
}

function parseWindow(text: string): DayWindow {
  const [from = '', to = '', ...more] = text.split('-')
  const [fromMinute, toMinute] = [minuteOf(from, minutesOfDay - 1), minuteOf(to, minutesOfDay)]
  if (fromMinute === undefined || toMinute === undefined || more.length > 0) {
    throw new InvalidSiteRuleError(`${JSON.stringify(text)} is no time of day such as 08:00-18:00`)
  }
  return { fromMinute, toMinute: toMinute % minutesOfDay }
}

/** `HH:MM`, up to a last minute of the day; 24:00 ends it. */
function minuteOf(text: string, last: number): number | undefined {
  const [hours = '', minutes = '', ...more] = text.split(':')
  const isShaped = [hours, minutes].every((part) => part.length === 2 && isDigits(part))
  const minute = Number(hours) * 60 + Number(minutes)
  const isTime = isShaped && more.length === 0 && Number(minutes) < 60 && minute <= last
  return isTime ? minute : undefined
}

function isDigits(text: string): boolean {
  return Array.from(text).every((c) => c >= '0' && c <= '9')
}

function formatRule({ window, mode, upRate, downRate }: SiteRule): string {
  const time =
    window === undefined ? '' : `${timeOf(window.fromMinute)}-${timeOf(window.toMinute)}=`
  if (mode !== undefined) return `${time}${mode}`
  if (upRate === downRate) return `${time}${upRate}B/s`
  return upRate === undefined ? `${time}down:${downRate}B/s` : `${time}up:${upRate}B/s`
}

function timeOf(minute: number): string {
  const two = (part: number): string => String(part).padStart(2, '0')
  return `${two(Math.floor(minute / 60))}:${two(minute % 60)}`
}

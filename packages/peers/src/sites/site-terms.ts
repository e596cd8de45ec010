/**
 * What may cross the link to another site. `metered`: only what somebody asked for. `paused`: connections
 * stay and tell who belongs to the mesh and who holds what; no module, record or list crosses, either way.
 * `forbidden`: no connection is kept.
 */
export type SiteMode = 'open' | 'metered' | 'paused' | 'forbidden'

/** A part of each day by the local clock, minutes since midnight; it may go over midnight, and equal ends are the whole day. */
export interface DayWindow {
  readonly fromMinute: number
  /** Not included. */
  readonly toMinute: number
}

/** What holds for a link, always or in a part of the day. */
export interface SiteRule {
  readonly window?: DayWindow | undefined
  readonly mode?: SiteMode | undefined
  /** Bytes per second that this node gives to the site. */
  readonly upRate?: number | undefined
  /** Bytes per second that this node takes from it. */
  readonly downRate?: number | undefined
}

/** What holds now. Undefined rates are without limit. */
export interface SiteTerms {
  readonly mode: SiteMode
  readonly upRate: number | undefined
  readonly downRate: number | undefined
}

/** The rules of each site by its name; `*` is for those without rules of their own. */
export type SiteRules = ReadonlyMap<string, readonly SiteRule[]>

/** Tells what holds at a minute of the day: what is said for that time wins, and of equals the later. */
export function termsAt(rules: readonly SiteRule[], minuteOfDay: number): SiteTerms {
  const always = rules.filter(({ window }) => window === undefined)
  const now = rules.filter(({ window }) => window !== undefined && isWithin(window, minuteOfDay))
  const inOrder = [...always, ...now]
  return {
    mode: inOrder.findLast(({ mode }) => mode !== undefined)?.mode ?? 'open',
    upRate: inOrder.findLast(({ upRate }) => upRate !== undefined)?.upRate,
    downRate: inOrder.findLast(({ downRate }) => downRate !== undefined)?.downRate,
  }
}

/** Whether a minute of the day is in a window. By the wall clock: an hour that is skipped in spring is none. */
export function isWithin({ fromMinute, toMinute }: DayWindow, minuteOfDay: number): boolean {
  if (fromMinute === toMinute) return true
  const isAfter = minuteOfDay >= fromMinute
  const isBefore = minuteOfDay < toMinute
  return fromMinute < toMinute ? isAfter && isBefore : isAfter || isBefore
}

/** Reads the minute of the day off a wall clock, ms since 1970, in a time zone or in this machine's. */
export function minuteOfDay(wallMs: number, timeZone?: string): number {
  if (timeZone === undefined) {
    const local = new Date(wallMs)
    return local.getHours() * 60 + local.getMinutes()
  }
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).formatToParts(wallMs)
  const numberOf = (type: string): number => Number(parts.find((part) => part.type === type)?.value)
  return numberOf('hour') * 60 + numberOf('minute')
}

/** Whether modules, records and lists may cross. */
export function isOpen({ mode }: SiteTerms): boolean {
  return mode === 'open' || mode === 'metered'
}

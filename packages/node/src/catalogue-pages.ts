import type { ExtraPage } from '@modmesh/goproxy'
import {
  formatModuleVersion,
  InvalidModulePathError,
  InvalidVersionError,
  type ModuleVersion,
  parsePathAtVersion,
  rfc3339Seconds,
} from '@modmesh/module'
import type { Catalogue, CatalogueEntry } from './catalogue.ts'

/** Entries of one page of the index, as index.golang.org gives and allows. */
const maxIndexEntries = 2_000

/** Entries of one page of the catalogue where none is asked for, as Athens gives. */
const catalogPageEntries = 1_000
/** The most of them: one answer is made in one piece. */
const maxCatalogPageEntries = 10_000

/** What a page cannot do with its parameters; the message says what to write instead. */
class BadParameterError extends Error {}

/** `/-/index`: a line of JSON for each module version held, by the time it came, as index.golang.org. */
export function indexPage(catalogue: Catalogue, query: URLSearchParams): ExtraPage {
  return answer(() => {
    const given = readParameters(query, ['since', 'limit', 'include'])
    const limit = readCount('limit', given.get('limit'), maxIndexEntries) ?? maxIndexEntries
    const sinceUs = readTime(given.get('since')) ?? Number.NEGATIVE_INFINITY
    readInclude(given.get('include'))
    const lines = catalogue.since(sinceUs, limit).map(indexLine)
    return { status: 200, type: 'text/plain; charset=utf-8', body: lines.join('') }
  })
}

/** `/-/catalog`: module versions held, by name, as Athens; `next` is the token of the next page. */
export function catalogPage(catalogue: Catalogue, query: URLSearchParams): ExtraPage {
  return answer(() => {
    const given = readParameters(query, ['token', 'pagesize', 'pageSize'])
    const asked = given.get('pagesize') ?? given.get('pageSize')
    const size = readCount('pagesize', asked, maxCatalogPageEntries) ?? catalogPageEntries
    // One more, to know whether there is a next page.
    const found = catalogue.after(readToken(given.get('token')), size + 1)
    const shown = found.slice(0, size)
    const last = found.length > size ? shown.at(-1) : undefined
    const modules = shown.map(({ module: { path, version } }) => ({ module: path, version }))
    const next = last === undefined ? {} : { next: formatModuleVersion(last.module) }
    return {
      status: 200,
      type: 'application/json',
      body: `${JSON.stringify({ modules, ...next })}\n`,
    }
  })
}

function answer(make: () => ExtraPage): ExtraPage {
  try {
    return make()
  } catch (error) {
    if (!(error instanceof BadParameterError)) throw error
    return { status: 400, type: 'text/plain; charset=utf-8', body: `${error.message}\n` }
  }
}

function indexLine({ module, admittedUs }: CatalogueEntry): string {
  const { path, version } = module
  return `${JSON.stringify({ Path: path, Version: version, Timestamp: formatTime(admittedUs) })}\n`
}

/** RFC 3339 with as many digits as it needs, as Go writes it. */
function formatTime(us: number): string {
  const whole = new Date(Math.floor(us / 1_000_000) * 1_000).toISOString().slice(0, 19)
  const digits = String(((us % 1_000_000) + 1_000_000) % 1_000_000).padStart(6, '0')
  let end = digits.length
  while (end > 0 && digits[end - 1] === '0') end--
  return end === 0 ? `${whole}Z` : `${whole}.${digits.slice(0, end)}Z`
}

/** The parameters that are not empty. One that is unknown or given twice is a slip that must not go unnoticed. */
function readParameters(
  query: URLSearchParams,
  known: readonly string[],
): ReadonlyMap<string, string> {
  const given = new Map<string, string>()
  for (const [name, value] of query) {
    if (!known.includes(name)) {
      const names = known.filter((each) => each !== 'pageSize').join(', ')
      throw new BadParameterError(`unknown parameter ${quote(name)}\nknown here: ${names}`)
    }
    if (given.has(name)) throw new BadParameterError(`${name} is given twice; give it once`)
    if (value !== '') given.set(name, value)
  }
  return given
}

function readCount(name: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined
  const count = text.length <= 9 && isDecimal(text) ? Number(text) : 0
  if (count >= 1 && count <= max) return count
  throw new BadParameterError(`${name}=${quote(text)}: give a number from 1 to ${max}`)
}

/** Microseconds since 1970, finer times rounded up: they are behind that microsecond. */
function readTime(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const seconds = text.length <= 60 ? rfc3339Seconds(text) : undefined
  if (seconds !== undefined) return seconds * 1_000_000 + fractionUs(text)
  const plus = text.includes(' ') ? '\na + in a URL is written %2B' : ''
  throw new BadParameterError(
    `since=${quote(text)}: give a time as 2024-05-06T07:08:09Z (RFC 3339)${plus}`,
  )
}

function fractionUs(text: string): number {
  if (text[19] !== '.') return 0
  let end = 20
  while (isDecimal(text.charAt(end))) end++
  const digits = text.slice(20, end)
  const us = Number(digits.slice(0, 6).padEnd(6, '0'))
  return Number(digits.slice(6) || '0') > 0 ? us + 1 : us
}

/** What is only held of what others asked to be included has no meaning here: it is all of it. */
function readInclude(text: string | undefined): void {
  if (text === undefined || text === 'all') return
  throw new BadParameterError(`include=${quote(text)}: leave it out, or give all`)
}

function readToken(text: string | undefined): ModuleVersion | undefined {
  if (text === undefined) return undefined
  try {
    return parsePathAtVersion(text)
  } catch (error) {
    const isForeign =
      error instanceof InvalidModulePathError || error instanceof InvalidVersionError
    if (!isForeign) throw error
    throw new BadParameterError('token: give the `next` of the page before, or none to begin')
  }
}

function isDecimal(text: string): boolean {
  for (const c of text) if (c < '0' || c > '9') return false
  return text !== ''
}

/** Short and printable: it goes back to who sent it. */
function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 37)}...` : text)
}

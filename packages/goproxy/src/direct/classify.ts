import { FetchError } from '../upstream/fetch-error.ts'
import { maxExplainedChars, maxExplainedLines } from './limits.ts'
import type { HideSecrets } from './secrets.ts'

/**
 * What `go` and `git` report has no codes, only texts (in English: LC_ALL=C), so this file is the one place that
 * reads them. Whatever is not known to mean "no such module or version" is trouble: a wrong guess that way makes a
 * client ask somebody else, and tells them a private path.
 */
export function toDirectError(text: string, hide: HideSecrets): FetchError {
  const lines = explain(text, hide)
  const message =
    lines.length === 0 ? 'direct: failed without a word' : `direct: ${lines.join('\n')}`
  if (isAbsent(text)) return new FetchError('absent', message)
  // As a proxy's 403: this node's user forbade it (GOVCS).
  if (text.includes('GOVCS disallows')) return new FetchError('status', message, { status: 403 })
  return new FetchError('unreachable', message)
}

/** go's own findings, about repositories that it could read. */
const absentVersions: readonly string[] = [
  'unknown revision',
  'no matching versions for query',
  'no commits',
  'version control suffix',
  'go.mod at revision',
  'has malformed module path',
  'is missing module path',
  'module path must match major version',
  'so module path must be',
  'major version',
  'is not a tag',
  'should be v0 or v1',
  'does not match version-control timestamp',
  'canonical (expected',
  'does not match short name of revision',
  'is already canonical',
  'preceding tag',
  'errors parsing go.mod',
  'ambiguous revision',
  'ambiguous semantic version',
  'no such revision',
]

/** Paths that go knows without asking anybody, or after a host said so. */
const absentPaths: readonly string[] = [
  'import path does not begin with hostname',
  'malformed module path',
  'invalid module path',
  'cannot contain module',
  'mismatched repo',
  'is not a module',
  'no modules on example.net',
  'no go-import meta tag',
  'disagree about go-import',
  'multiple meta tags match',
  'unknown vcs',
  'unknown version control system',
  'invalid repo root',
  'invalid subdirectory',
  'not allowed in import path',
]

/** Lines of git and hg that say that there is no such repository or reference. */
const absentRepositories: readonly (readonly [start: string, rest: string])[] = [
  ['fatal: repository ', ' not found'],
  ['fatal: repository ', ' does not exist'],
  ['fatal: ', ' does not appear to be a git repository'],
  ["fatal: couldn't find remote ref", ''],
  ['error: repository not found', ''],
  ['remote: repository not found', ''],
  ['remote: not found', ''],
  ['remote: the project you were looking for could not be found', ''],
  ['remote: error: the project you were looking for could not be found', ''],
  ['repository does not exist', ''],
  ['abort: repository ', ' not found'],
  ['abort: http error 404', ''],
  ['abort: unknown revision', ''],
]

function isAbsent(text: string): boolean {
  // Of a command that failed only what it wrote counts: go calls any failure an invalid version.
  const command = text.includes(': exit status ') || text.includes(': signal: ')
  if (command) return linesOf(text).some((line) => isAbsentRepository(line.toLowerCase()))
  const status = statusOf(text)
  if (status !== undefined) return isAbsentStatus(status, text.includes('?go-get=1'))
  if (text.includes('invalid ') && text.includes(' import path ')) return true
  return [...absentVersions, ...absentPaths].some((part) => text.includes(part))
}

function isAbsentRepository(line: string): boolean {
  return absentRepositories.some(([start, rest]) => line.startsWith(start) && line.includes(rest))
}

/**
 * A host that wants a login before it shows a page is, to go, one that knows no such path: prefixes of a private path
 * are asked for without credentials. From a proxy the same is trouble.
 */
function isAbsentStatus(status: number, isDiscovery: boolean): boolean {
  if (status === 404 || status === 410) return true
  return isDiscovery && status >= 400 && status < 500 && status !== 408 && status !== 429
}

/** The status in `reading URL: 404 Not Found`. */
function statusOf(text: string): number | undefined {
  const reading = text.indexOf('reading http')
  if (reading < 0) return undefined
  const colon = text.indexOf(': ', reading)
  const digits = text.slice(colon + 2, colon + 5)
  const isStatus = Array.from(digits).every((char) => char >= '0' && char <= '9')
  return colon > 0 && isStatus && text[colon + 5] === ' ' ? Number(digits) : undefined
}

/** The first lines of a report, without secrets, our folders or repetitions. */
function explain(text: string, hide: HideSecrets): readonly string[] {
  const lines: string[] = []
  for (const line of linesOf(hide(text))) {
    const short = withoutFolder(line).slice(0, maxExplainedChars)
    if (!lines.includes(short) && !isAdvice(short)) lines.push(short)
  }
  return lines.slice(0, maxExplainedLines)
}

/** What go says below any failure; few lines reach the user, and others say more. */
function isAdvice(line: string): boolean {
  return (
    line.startsWith('Confirm the import path was entered correctly.') ||
    line.startsWith('If this is a private repository, see https://golang.org/doc/faq')
  )
}

/** `git fetch … in /data/direct/v1/vcs/0a1b…: exit status 128` without the folder. */
function withoutFolder(line: string): string {
  const start = line.indexOf(' in /')
  const end = line.indexOf(': exit status', Math.max(start, 0))
  return start < 0 || end < 0 ? line : line.slice(0, start) + line.slice(end)
}

function linesOf(text: string): readonly string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

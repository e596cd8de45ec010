import {
  compareVersions,
  formatVersionInfo,
  InvalidFileError,
  InvalidVersionError,
  isPseudoVersion,
  type ModulePath,
  type ModuleVersion,
  parseSemver,
  parseVersion,
  parseVersionInfo,
  pseudoVersionRev,
  selectLatest,
  type Version,
} from '@modmesh/module'
import { OfflineError, UpstreamUnavailableError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { heldVersions } from './held-versions.ts'
import { maxListBytes } from './limits.ts'
import type { AskOptions } from './module-source.ts'
import type { OwnerQuestion } from './peers.ts'
import { abortable, type Scope } from './scope.ts'
import type { MutableAsk, UpstreamAnswer } from './upstream.ts'

/** What kind of answer it is: how long it stays fresh depends on that. */
export type MutableKind = 'list' | 'latest' | 'branch' | 'commit'

/** One of the answers that change: how upstream is asked, and what stands in when it cannot be. */
export interface MutableQuestion {
  readonly kind: MutableKind
  /** Names the question in memory and on disk. */
  readonly key: string
  /** For messages, e.g. `golang.org/x/text@latest`. */
  readonly name: string
  readonly path: ModulePath
  /** How the owner of the path is asked. */
  readonly asked: OwnerQuestion
  ask(options: MutableAsk): Promise<UpstreamAnswer>
  /** The version that a `go` command would pick from these bytes: from a peer it needs a proof. */
  picked(bytes: Uint8Array): Version | undefined
  /** Why upstream's bytes are no answer, or undefined. */
  fault(bytes: Uint8Array): string | undefined
  /** The answer from what is held here and, unless cachedOnly, by peers; undefined when nothing is. */
  fromHeld(options: AskOptions): Promise<Uint8Array | undefined>
  /** Upstream's older answer, never behind what is held here. */
  mend(older: Uint8Array, options: AskOptions): Promise<Uint8Array>
}

/** Reads the `.info` of a version that is held. */
export type FindInfo = (module: ModuleVersion, options: AskOptions) => Promise<Uint8Array>

/** The version list of a path. */
export function listQuestion(ctx: FillContext, path: ModulePath): MutableQuestion {
  return {
    kind: 'list',
    key: `list ${path} `,
    name: `${path}@v/list`,
    path,
    asked: { what: 'list', path },
    ask: (options) => ctx.upstream.fetchList(path, options),
    picked: (bytes) => selectLatest(listedVersions(bytes)),
    fault: notAList,
    fromHeld: async (options) => {
      const { complete } = await heldVersions(ctx, path, options)
      return complete.length === 0 ? undefined : encode(versionLines(complete))
    },
    mend: async (older, { signal }) => {
      const text = new TextDecoder().decode(older)
      const listed = new Set(text.split('\n').map((line) => line.trim().split(' ', 1)[0]))
      const { all } = await heldVersions(ctx, path, { signal, cachedOnly: true })
      const missing = all.filter((version) => !listed.has(version))
      const gap = text === '' || text.endsWith('\n') ? '' : '\n'
      const lines = versionLines(missing)
      return lines === '' ? older : encode(text + gap + lines)
    },
  }
}

/** The newest version of a path. */
export function latestQuestion(
  ctx: FillContext,
  path: ModulePath,
  info: FindInfo,
): MutableQuestion {
  return {
    kind: 'latest',
    key: `latest ${path} `,
    name: `${path}@latest`,
    path,
    asked: { what: 'latest', path },
    picked: infoVersion,
    ask: (options) => ctx.upstream.fetchLatest(path, options),
    fault: notAnInfo,
    fromHeld: async (options) => {
      const { complete } = await heldVersions(ctx, path, options)
      const version = selectLatest(complete)
      return version && (await infoOrName({ path, version }, info, options))
    },
    mend: async (older, { signal }) => {
      const options = { signal, cachedOnly: true }
      const { version: known } = parseVersionInfo(older)
      const { all } = await heldVersions(ctx, path, options)
      const version = selectLatest([known, ...all]) ?? known
      return version === known ? older : await infoOrName({ path, version }, info, options)
    },
  }
}

/** A branch, tag or commit. Of these, what is held can answer only for a commit that has a pseudo-version. */
export function refQuestion(
  ctx: FillContext,
  path: ModulePath,
  ref: string,
  info: FindInfo,
): MutableQuestion {
  return {
    kind: isCommit(ref) ? 'commit' : 'branch',
    key: `query ${path} ${ref}`,
    name: `${path}@${ref}`,
    path,
    asked: { what: 'query', path, query: ref },
    picked: infoVersion,
    ask: (options) => ctx.upstream.fetchQuery(path, ref, options),
    fault: notAnInfo,
    fromHeld: async (options) => {
      if (!isCommit(ref)) return undefined
      const { all } = await heldVersions(ctx, path, options)
      const version = all.findLast((each) => isOfCommit(each, ref))
      return version && (await infoOrName({ path, version }, info, options))
    },
    mend: async (older) => older,
  }
}

/** The lines of a list that are versions; the rest counts for nothing. */
function listedVersions(bytes: Uint8Array): Version[] {
  const versions: Version[] = []
  for (const line of new TextDecoder().decode(bytes).split('\n')) {
    const text = line.trim().replaceAll('\t', ' ').split(' ', 1)[0] ?? ''
    try {
      if (text !== '') versions.push(parseVersion(text))
    } catch (error) {
      if (!(error instanceof InvalidVersionError)) throw error
    }
  }
  return versions
}

function infoVersion(bytes: Uint8Array): Version {
  return parseVersionInfo(bytes).version
}

/** How asking upstream ended. */
export type Asked =
  | { readonly kind: 'confirmed'; readonly answer: UpstreamAnswer }
  | { readonly kind: 'dead'; readonly error: Error }
  /** There is none to ask. */
  | { readonly kind: 'nobody' }

/** Asks upstream, whether `known` still holds where it can. Throws ModuleNotFoundError. */
export async function askUpstream(
  ctx: FillContext,
  question: MutableQuestion,
  scope: Scope,
  known: MutableAsk['known'],
): Promise<Asked> {
  if (!ctx.canAskUpstream(question.path)) return { kind: 'nobody' }
  try {
    const answer = await patiently(ctx, question, scope, known)
    const fault = question.fault(answer.bytes)
    if (fault === undefined) return { kind: 'confirmed', answer }
    const message = `${question.name}: ${answer.from} sent no answer: ${fault}`
    return { kind: 'dead', error: new UpstreamUnavailableError(message) }
  } catch (error) {
    if (error instanceof OfflineError) return { kind: 'nobody' }
    if (error instanceof UpstreamUnavailableError) return { kind: 'dead', error }
    throw error
  }
}

/** Leaves time for what is held, should upstream never answer. */
async function patiently(
  ctx: FillContext,
  question: MutableQuestion,
  scope: Scope,
  known: MutableAsk['known'],
): Promise<UpstreamAnswer> {
  const { fetchTimeoutMs, meshOnlyMs } = ctx.budgets
  const ms = Math.max(fetchTimeoutMs - 2 * meshOnlyMs, fetchTimeoutMs / 2)
  return await ctx.within(question.name, ms, scope.signal, ({ signal }) =>
    abortable(question.ask(known === undefined ? { signal } : { signal, known }), signal),
  )
}

/** Held without its .info: `go` accepts one without a time. */
async function infoOrName(
  module: ModuleVersion,
  info: FindInfo,
  options: AskOptions,
): Promise<Uint8Array> {
  try {
    return await info(module, options)
  } catch {
    // Whatever kept it from us, the version itself is known.
    return formatVersionInfo({ version: module.version, time: undefined })
  }
}

/** Lists hold no pseudo-versions (golang.org/ref/mod#goproxy-protocol). */
function versionLines(versions: readonly Version[]): string {
  const listed = versions.filter((version) => !isPseudoVersion(version)).sort(compareVersions)
  return listed.map((version) => `${version}\n`).join('')
}

/** The shortest name of a commit that `go` and git take for one: 7 hex digits. */
function isCommit(ref: string): boolean {
  if (ref.length < 7 || ref.length > 64) return false
  for (const c of ref) if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false
  return true
}

function isOfCommit(version: Version, commit: string): boolean {
  if (!isPseudoVersion(version)) return false
  const rev = pseudoVersionRev(version)
  return rev.startsWith(commit) || commit.startsWith(rev)
}

/**
 * Lines that are no versions count for nothing (cmd/go takes only those it can read), but a text with nothing but such
 * lines is a page about something else.
 */
function notAList(bytes: Uint8Array): string | undefined {
  if (bytes.length > maxListBytes) return 'more than the size limit'
  const text = new TextDecoder().decode(bytes)
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start)
    const line = text.slice(start, end < 0 ? text.length : end).trim()
    if (parseSemver(line.replaceAll('\t', ' ').split(' ', 1)[0] ?? '') !== undefined)
      return undefined
    start = end < 0 ? text.length : end + 1
  }
  return text.trim() === '' ? undefined : 'no line of it is a version'
}

function notAnInfo(bytes: Uint8Array): string | undefined {
  try {
    parseVersionInfo(bytes)
    return undefined
  } catch (error) {
    if (error instanceof InvalidFileError) return error.message
    throw error
  }
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

import {
  formatVersionInfo,
  InvalidFileError,
  isPseudoVersion,
  type ModulePath,
  type ModuleVersion,
  parseVersionInfo,
  pseudoVersionRev,
  selectLatest,
  type Version,
} from '@modmesh/module'
import type { FillContext } from './fill-context.ts'
import { keyOf, subjectOf } from './fill-request.ts'
import { heldVersions } from './held-versions.ts'
import type { AskOptions } from './module-source.ts'
import type { ChangingQuestion } from './peers.ts'
import type { MutableAsk, UpstreamAnswer } from './upstream.ts'
import { addToList, findListFault, formatList, listedVersions } from './version-list.ts'

/** One of the answers that change: how upstream is asked, and what stands in when it cannot be. */
export interface MutableQuestion {
  /** How long an answer stays fresh depends on it. */
  readonly kind: 'list' | 'latest' | 'branch' | 'commit'
  /** Names the question in memory and on disk. */
  readonly key: string
  /** For messages, e.g. `golang.org/x/text@latest`. */
  readonly name: string
  readonly path: ModulePath
  /** How the owner of the path is asked. */
  readonly asked: ChangingQuestion
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

/** Makes the question of what was asked. */
export function mutableQuestion(
  ctx: FillContext,
  asked: ChangingQuestion,
  info: FindInfo,
): MutableQuestion {
  const { path } = asked
  return { asked, path, key: keyOf(subjectOf(asked)), ...waysOf(ctx, asked, info) }
}

/** What differs between the kinds of questions. */
type QuestionWays = Omit<MutableQuestion, 'asked' | 'path' | 'key'>

function waysOf(ctx: FillContext, asked: ChangingQuestion, info: FindInfo): QuestionWays {
  switch (asked.what) {
    case 'list':
      return listWays(ctx, asked.path)
    case 'latest':
      return latestWays(ctx, asked.path, info)
    case 'query':
      return refWays(ctx, asked.path, asked.query, info)
  }
}

/** The version list of a path. */
function listWays(ctx: FillContext, path: ModulePath): QuestionWays {
  return {
    kind: 'list',
    name: `${path}@v/list`,
    ask: (options) => ctx.upstream.fetchList(path, options),
    picked: (bytes) => selectLatest(listedVersions(bytes)),
    fault: findListFault,
    fromHeld: async (options) => {
      const { complete } = await heldVersions(ctx, path, options)
      return complete.length === 0 ? undefined : formatList(complete)
    },
    mend: async (older, { signal }) => {
      const { all } = await heldVersions(ctx, path, { signal, cachedOnly: true })
      return addToList(older, all)
    },
  }
}

/** The newest version of a path. */
function latestWays(ctx: FillContext, path: ModulePath, info: FindInfo): QuestionWays {
  return {
    kind: 'latest',
    name: `${path}@latest`,
    ask: (options) => ctx.upstream.fetchLatest(path, options),
    picked: infoVersion,
    fault: notAnInfo,
    fromHeld: async (options) => {
      const { complete } = await heldVersions(ctx, path, options)
      const version = selectLatest(complete)
      return version && (await infoOrName({ path, version }, info, options))
    },
    mend: async (older, { signal }) => {
      const options = { signal, cachedOnly: true }
      const known = infoVersion(older)
      const { all } = await heldVersions(ctx, path, options)
      const version = selectLatest([known, ...all]) ?? known
      return version === known ? older : await infoOrName({ path, version }, info, options)
    },
  }
}

/** A branch, tag or commit. Of these, what is held can answer only for a commit that has a pseudo-version. */
function refWays(ctx: FillContext, path: ModulePath, ref: string, info: FindInfo): QuestionWays {
  return {
    kind: isCommit(ref) ? 'commit' : 'branch',
    name: `${path}@${ref}`,
    ask: (options) => ctx.upstream.fetchQuery(path, ref, options),
    picked: infoVersion,
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

function infoVersion(bytes: Uint8Array): Version {
  return parseVersionInfo(bytes).version
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

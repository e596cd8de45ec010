import {
  canonicalVersion,
  isIncompatible,
  type ModulePath,
  type ModuleVersion,
  parseVersionInfo,
  selectLatest,
  type Version,
} from '@modmesh/module'
import type { ProvenSums } from '../checksum-db.ts'
import type { Clock } from '../clock.ts'
import type { FillEvent, FillKind } from '../fill-event.ts'
import type { Answer, AskOptions, ModuleSource } from '../module-source.ts'
import type { HeldZip } from '../zip-store.ts'
import { explainYouth, findTooNew } from './age-check.ts'
import { explainRule, findDenialOfPath, judgeVersion, type Policy } from './policy.ts'
import { PolicyDeniedError } from './policy-errors.ts'
import { maxLatestTries } from './policy-limits.ts'
import type { Validator } from './validator.ts'
import type { VersionTimes } from './version-times.ts'

export interface PolicySourceComponents {
  /** Who answers what is allowed. */
  readonly source: ModuleSource
  readonly times: VersionTimes
  readonly validator?: Validator | undefined
  readonly clock: Clock
}

/**
 * Puts a policy before a source: it decides when an answer is given, so that it applies to what is held, too. What it
 * denies is PolicyDeniedError; lists and `@latest` leave out what would be denied.
 */
export class PolicySource implements ModuleSource {
  readonly #parts: PolicySourceComponents
  readonly #policy: Policy
  readonly #onEvent: (event: FillEvent) => void

  constructor(
    components: PolicySourceComponents,
    init: { readonly policy: Policy; readonly onEvent: (event: FillEvent) => void },
  ) {
    this.#parts = components
    this.#policy = init.policy
    this.#onEvent = init.onEvent
  }

  /** At once only where the rules alone decide, and allow. */
  peek(
    what: Exclude<FillKind, 'zip'>,
    path: ModulePath,
    version: string | undefined,
  ): Answer<Uint8Array> | undefined {
    const canonical = version === undefined ? undefined : canonicalVersion(version)
    if ((what !== 'mod' && what !== 'info') || canonical === undefined) return undefined
    const verdict = judgeVersion(this.#policy, { path, version: canonical })
    if (verdict.kind === 'denied' || verdict.minAgeMs > 0) return undefined
    if (this.#parts.validator !== undefined) return undefined
    return this.#parts.source.peek?.(what, path, version)
  }

  async zip(module: ModuleVersion, options: AskOptions): Promise<Answer<HeldZip>> {
    await this.#telling('zip', module.path, module.version, () => this.#admit(module, options))
    return await this.#parts.source.zip(module, options)
  }

  async mod(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>> {
    await this.#telling('mod', module.path, module.version, () => this.#admit(module, options))
    return await this.#parts.source.mod(module, options)
  }

  async info(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>> {
    await this.#telling('info', module.path, module.version, () => this.#admit(module, options))
    return await this.#parts.source.info(module, options)
  }

  async list(path: ModulePath, options: AskOptions): Promise<Answer<Uint8Array>> {
    await this.#telling('list', path, undefined, async () => this.#admitPath(path))
    const answer = await this.#parts.source.list(path, options)
    const lines = new TextDecoder().decode(answer.value).split('\n')
    const offered = await this.#offered(path, lines, options)
    const kept = lines.filter((line) => line === '' || offered.has(versionOf(line) ?? ''))
    if (kept.length === lines.length) return answer
    return { ...answer, value: new TextEncoder().encode(kept.join('\n')) }
  }

  async latest(path: ModulePath, options: AskOptions): Promise<Answer<Uint8Array>> {
    await this.#telling('latest', path, undefined, async () => this.#admitPath(path))
    const answer = await this.#parts.source.latest(path, options)
    const { version } = parseVersionInfo(answer.value)
    return await this.#telling('latest', path, undefined, async () => {
      try {
        await this.#admit({ path, version }, options)
        return answer
      } catch (error) {
        if (!(error instanceof PolicyDeniedError)) throw error
        return await this.#newestAllowed(path, error, options)
      }
    })
  }

  async query(path: ModulePath, query: string, options: AskOptions): Promise<Answer<Uint8Array>> {
    await this.#telling('query', path, query, async () => this.#admitPath(path))
    const answer = await this.#parts.source.query(path, query, options)
    const { version } = parseVersionInfo(answer.value)
    await this.#telling('query', path, query, () => this.#admit({ path, version }, options))
    return answer
  }

  /** Hashes give nobody code: they are not kept back. */
  sums(module: ModuleVersion, options: AskOptions): Promise<ProvenSums> {
    return this.#parts.source.sums(module, options)
  }

  /** Throws PolicyDeniedError unless the module version may be answered. */
  async #admit(module: ModuleVersion, options: AskOptions): Promise<void> {
    const verdict = judgeVersion(this.#policy, module)
    if (verdict.kind === 'denied') throw new PolicyDeniedError(module, explainRule(verdict.rule))
    const youth = await explainYouth(this.#parts, module, verdict.minAgeMs, options)
    if (youth !== undefined) throw new PolicyDeniedError(module, youth)
    const word = await this.#parts.validator?.check(module, options)
    if (word?.kind === 'denied') {
      throw new PolicyDeniedError(module, ['the validator says:', ...word.reason.split('\n')])
    }
  }

  #admitPath(path: ModulePath): void {
    const rule = findDenialOfPath(this.#policy, path)
    if (rule !== undefined) throw new PolicyDeniedError(path, explainRule(rule))
  }

  /** Which versions of a list are to be shown: by rules and age all of them, by the validator the newest. */
  async #offered(
    path: ModulePath,
    lines: readonly string[],
    options: AskOptions,
  ): Promise<ReadonlySet<string>> {
    const allowed: Version[] = []
    for (const line of lines) {
      const version = versionOf(line)
      if (version === undefined) continue
      if (judgeVersion(this.#policy, { path, version }).kind === 'allowed') allowed.push(version)
    }
    const tooNew = await findTooNew(allowed, (version) =>
      this.#isTooNew({ path, version }, options),
    )
    const offered = new Set(allowed.filter((version) => !tooNew.has(version)))
    await this.#dropInvalid(path, offered, options)
    return offered
  }

  async #isTooNew(module: ModuleVersion, options: AskOptions): Promise<boolean> {
    const verdict = judgeVersion(this.#policy, module)
    if (verdict.kind === 'denied' || verdict.minAgeMs === 0) return false
    try {
      return (await explainYouth(this.#parts, module, verdict.minAgeMs, options)) !== undefined
    } catch (error) {
      options.signal.throwIfAborted()
      // Its age is not to be had: as a version to choose it would end in an error.
      return error instanceof Error
    }
  }

  /** Takes out the newest versions that the validator denies, until it allows one. */
  async #dropInvalid(path: ModulePath, offered: Set<Version>, options: AskOptions): Promise<void> {
    const { validator } = this.#parts
    if (validator === undefined) return
    for (let tries = 0; tries < maxLatestTries; tries++) {
      const version = newestOf(offered)
      if (version === undefined) return
      const word = await validator.check({ path, version }, options)
      if (word.kind === 'allowed') return
      offered.delete(version)
    }
  }

  async #newestAllowed(
    path: ModulePath,
    denied: PolicyDeniedError,
    options: AskOptions,
  ): Promise<Answer<Uint8Array>> {
    const { source } = this.#parts
    const { value } = await source.list(path, options)
    const lines = new TextDecoder().decode(value).split('\n')
    const offered = new Set(await this.#offered(path, lines, options)) as Set<Version>
    for (let tries = 0; tries < maxLatestTries; tries++) {
      const version = newestOf(offered)
      if (version === undefined) break
      try {
        await this.#admit({ path, version }, options)
        return await source.info({ path, version }, options)
      } catch (error) {
        if (!(error instanceof PolicyDeniedError)) throw error
        offered.delete(version)
      }
    }
    throw denied
  }

  /** Runs a decision, and tells when it is a no: the source never hears of the request then. */
  async #telling<T>(
    what: FillKind,
    path: ModulePath,
    version: string | undefined,
    decide: () => Promise<T>,
  ): Promise<T> {
    const startedMs = this.#parts.clock.monotonicMs()
    try {
      return await decide()
    } catch (error) {
      if (error instanceof Error) {
        const tookMs = this.#parts.clock.monotonicMs() - startedMs
        this.#onEvent({ kind: 'failed', what, path, version, error, tookMs })
      }
      throw error
    }
  }
}

/** The version at the start of a line, as `go` reads it: what stands behind a space is ignored. */
function versionOf(line: string): Version | undefined {
  return canonicalVersion(line.trim().split(' ', 1)[0] ?? '')
}

/** What `go` picks: +incompatible ones only where there is nothing else. */
function newestOf(versions: ReadonlySet<Version>): Version | undefined {
  const compatible = Array.from(versions).filter((version) => !isIncompatible(version))
  return selectLatest(compatible.length > 0 ? compatible : versions)
}

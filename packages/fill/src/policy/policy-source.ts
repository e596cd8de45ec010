import {
  canonicalVersion,
  type ModulePath,
  type ModuleVersion,
  parseVersionInfo,
  type Version,
} from '@modmesh/module'
import type { ProvenSums } from '../checksum-db.ts'
import type { FillEvent, FillKind } from '../fill-event.ts'
import type { Answer, AskOptions, ModuleSource } from '../module-source.ts'
import { firstWord } from '../version-list.ts'
import type { HeldZip } from '../zip-store.ts'
import { admit, admitPath, findOffered, type Judges, newestOf } from './admission.ts'
import { judgeVersion, type Policy } from './policy.ts'
import { PolicyDeniedError } from './policy-errors.ts'
import { maxLatestTries } from './policy-limits.ts'

export interface PolicySourceComponents extends Omit<Judges, 'policy'> {
  /** Who answers what is allowed. */
  readonly source: ModuleSource
}

/**
 * Puts a policy before a source: it decides when an answer is given, so that it applies to what is held, too. What it
 * denies is PolicyDeniedError; lists and `@latest` leave out what would be denied.
 */
export class PolicySource implements ModuleSource {
  readonly #source: ModuleSource
  readonly #judges: Judges
  readonly #onEvent: (event: FillEvent) => void

  constructor(
    components: PolicySourceComponents,
    init: { readonly policy: Policy; readonly onEvent: (event: FillEvent) => void },
  ) {
    this.#source = components.source
    this.#judges = { ...components, policy: init.policy }
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
    const verdict = judgeVersion(this.#judges.policy, { path, version: canonical })
    if (verdict.kind === 'denied' || verdict.minAgeMs > 0) return undefined
    if (this.#judges.validator !== undefined) return undefined
    return this.#source.peek?.(what, path, version)
  }

  async zip(module: ModuleVersion, options: AskOptions): Promise<Answer<HeldZip>> {
    await this.#admit('zip', module, options)
    return await this.#source.zip(module, options)
  }

  async mod(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>> {
    await this.#admit('mod', module, options)
    return await this.#source.mod(module, options)
  }

  async info(module: ModuleVersion, options: AskOptions): Promise<Answer<Uint8Array>> {
    await this.#admit('info', module, options)
    return await this.#source.info(module, options)
  }

  async list(path: ModulePath, options: AskOptions): Promise<Answer<Uint8Array>> {
    await this.#telling('list', path, undefined, async () => admitPath(this.#judges, path))
    const answer = await this.#source.list(path, options)
    const lines = linesOf(answer.value)
    const offered = await findOffered(this.#judges, path, versionsOf(lines), options)
    const kept = lines.filter(({ text, version }) => {
      return text === '' || (version !== undefined && offered.has(version))
    })
    if (kept.length === lines.length) return answer
    const text = kept.map((line) => line.text).join('\n')
    return { ...answer, value: new TextEncoder().encode(text) }
  }

  async latest(path: ModulePath, options: AskOptions): Promise<Answer<Uint8Array>> {
    await this.#telling('latest', path, undefined, async () => admitPath(this.#judges, path))
    const answer = await this.#source.latest(path, options)
    const { version } = parseVersionInfo(answer.value)
    return await this.#telling('latest', path, undefined, async () => {
      try {
        await admit(this.#judges, { path, version }, options)
        return answer
      } catch (error) {
        if (!(error instanceof PolicyDeniedError)) throw error
        return await this.#newestAllowed(path, error, options)
      }
    })
  }

  async query(path: ModulePath, query: string, options: AskOptions): Promise<Answer<Uint8Array>> {
    await this.#telling('query', path, query, async () => admitPath(this.#judges, path))
    const answer = await this.#source.query(path, query, options)
    const { version } = parseVersionInfo(answer.value)
    await this.#telling('query', path, query, () => admit(this.#judges, { path, version }, options))
    return answer
  }

  /** Hashes give nobody code: they are not kept back. */
  sums(module: ModuleVersion, options: AskOptions): Promise<ProvenSums> {
    return this.#source.sums(module, options)
  }

  async #admit(what: FillKind, module: ModuleVersion, options: AskOptions): Promise<void> {
    const decide = () => admit(this.#judges, module, options)
    await this.#telling(what, module.path, module.version, decide)
  }

  async #newestAllowed(
    path: ModulePath,
    denied: PolicyDeniedError,
    options: AskOptions,
  ): Promise<Answer<Uint8Array>> {
    const { value } = await this.#source.list(path, options)
    const offered = await findOffered(this.#judges, path, versionsOf(linesOf(value)), options)
    for (let tries = 0; tries < maxLatestTries; tries++) {
      const version = newestOf(offered)
      if (version === undefined) break
      try {
        await admit(this.#judges, { path, version }, options)
        return await this.#source.info({ path, version }, options)
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
    const startedMs = this.#judges.clock.monotonicMs()
    try {
      return await decide()
    } catch (error) {
      if (error instanceof Error) {
        const tookMs = this.#judges.clock.monotonicMs() - startedMs
        this.#onEvent({ kind: 'failed', what, path, version, error, tookMs })
      }
      throw error
    }
  }
}

interface ListLine {
  readonly text: string
  /** Undefined where it names none. */
  readonly version: Version | undefined
}

function linesOf(list: Uint8Array): readonly ListLine[] {
  const lines = new TextDecoder().decode(list).split('\n')
  return lines.map((text) => ({ text, version: canonicalVersion(firstWord(text)) }))
}

function versionsOf(lines: readonly ListLine[]): Version[] {
  return lines.map(({ version }) => version).filter((version) => version !== undefined)
}

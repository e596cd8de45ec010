import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { maxNetrcBytes, renewGapMs, vainRenewGapMs } from '../../limits.ts'
import {
  basicAuth,
  type CredentialSet,
  credentialKey,
  type HeaderList,
  InvalidCredentialsError,
  parseCredentialSet,
} from './credential-set.ts'
import { fillGitCredential, type GitCredential, judgeGitCredential } from './git-credential.ts'
import { type CredentialCommand, parseGoauth } from './goauth.ts'
import { parseNetrc } from './netrc.ts'
import { HelperError, helperRunner, type RunHelper } from './run-helper.ts'

/** Where credentials come from. */
export interface CredentialsInit {
  /** GOAUTH syntax. */
  readonly goauth: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
}

/** An answer with a 4xx status, as a credential command is told of it. */
export interface RefusedAnswer {
  readonly status: number
  readonly statusText: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
}

/** What came of asking for other credentials. */
export interface Renewal {
  /** Undefined when there are none but those that were refused. */
  readonly headers: HeaderList | undefined
  /** Why a command gave none, without secrets. */
  readonly trouble: string | undefined
}

/** One command and what it has given so far. */
interface Source {
  readonly command: CredentialCommand
  set: Map<string, HeaderList>
  git: Map<string, GitCredential & { readonly dir: string }>
  trouble: string | undefined
}

/**
 * Credentials for https upstreams, as GOAUTH gives them to `go`: every command runs once before the first request,
 * and again with the URL when it was answered with 4xx. Kept in memory only.
 */
export class Credentials implements AsyncDisposable {
  readonly #init: CredentialsInit
  readonly #sources: readonly Source[]
  readonly #run: RunHelper
  readonly #abort = new AbortController()
  readonly #renewals = new Map<string, { readonly atMs: number; readonly done: Promise<void> }>()
  #first: Promise<void> | undefined

  /** Throws InvalidGoauthError. */
  constructor(init: CredentialsInit) {
    this.#init = init
    this.#run = helperRunner(init.env, { signal: this.#abort.signal })
    this.#sources = parseGoauth(init.goauth).map((command) => ({
      command,
      set: new Map(),
      git: new Map(),
      trouble: undefined,
    }))
  }

  /** The headers for a URL: those of the longest beginning of its path, empty when there are none. */
  async headersFor(url: URL): Promise<HeaderList> {
    if (this.#sources.length === 0 || url.protocol !== 'https:') return []
    this.#first ??= this.#runAll(undefined, undefined)
    await this.#first
    return this.#find(url)
  }

  /**
   * Asks for others after `sent` was refused. `base` names the upstream: one that answers 404 to strangers is asked
   * about once in a while, since 404 is mostly just that.
   */
  async renew(url: URL, base: string, sent: HeaderList, answer: RefusedAnswer): Promise<Renewal> {
    if (this.#sources.length === 0 || url.protocol !== 'https:') return nothingNew
    const denied = answer.status === 401 || answer.status === 403
    const onlyFiles = this.#sources.every(({ command }) => command.kind === 'netrc')
    if (!denied && onlyFiles) return nothingNew
    if (sameHeaders(this.#find(url), sent)) await this.#renewOnce(url, base, answer, denied)
    const headers = this.#find(url)
    const troubles = this.#sources.flatMap(({ trouble }) => trouble ?? [])
    const trouble = denied && troubles.length > 0 ? troubles.join('; ') : undefined
    return { headers: sameHeaders(headers, sent) ? undefined : headers, trouble }
  }

  /** Says how an upstream took what `headersFor` or `renew` gave: git's helpers want to know. */
  async judge(url: URL, status: number): Promise<void> {
    const verdict = status === 401 ? 'reject' : status < 400 ? 'approve' : undefined
    if (verdict === undefined) return
    for (const { git } of this.#sources) {
      const key = parents(credentialKey(url)).find((parent) => git.has(parent))
      const credential = key === undefined ? undefined : git.get(key)
      if (key === undefined || credential === undefined) continue
      git.delete(key)
      await judgeGitCredential(this.#run, credential.dir, credential, verdict)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort()
  }

  #find(url: URL): HeaderList {
    const sets = this.#sources.map(({ set }) => set)
    const names = [...parents(credentialKey(url)), `machine ${url.host}`, `machine ${url.hostname}`]
    for (const name of names) {
      const found = sets.find((set) => set.has(name))?.get(name)
      if (found !== undefined) return found
    }
    return []
  }

  /** Requests that are refused together share one renewal; one that was in vain is not repeated at once. */
  async #renewOnce(url: URL, base: string, answer: RefusedAnswer, denied: boolean): Promise<void> {
    const key = `${denied ? 'denied' : 'other'} ${base}`
    const now = performance.now()
    const last = this.#renewals.get(key)
    const gapMs = denied ? renewGapMs : vainRenewGapMs
    if (last !== undefined && now - last.atMs < gapMs) {
      await last.done
      return
    }
    const done = this.#runAll(url, answer)
    this.#renewals.set(key, { atMs: now, done })
    await done
  }

  async #runAll(url: URL | undefined, answer: RefusedAnswer | undefined): Promise<void> {
    await Promise.all(this.#sources.map((source) => this.#runOne(source, url, answer)))
  }

  async #runOne(
    source: Source,
    url: URL | undefined,
    answer: RefusedAnswer | undefined,
  ): Promise<void> {
    try {
      await this.#ask(source, url, answer)
      source.trouble = undefined
    } catch (error) {
      const isOurs = error instanceof HelperError || error instanceof InvalidCredentialsError
      if (!isOurs && !isFileError(error)) throw error
      source.trouble = `credentials: ${describe(source.command, error)}`
    }
  }

  async #ask(
    source: Source,
    url: URL | undefined,
    answer: RefusedAnswer | undefined,
  ): Promise<void> {
    const { command } = source
    if (command.kind === 'netrc') {
      source.set = await readNetrc(command.file ?? this.#netrcFile(), command.file !== undefined)
      return
    }
    if (command.kind === 'git') {
      // git has no way to list what it knows.
      if (url === undefined) return
      const credential = await fillGitCredential(this.#run, command.dir, url)
      source.set.set(credential.key, credential.headers)
      source.git.set(credential.key, { ...credential, dir: command.dir })
      return
    }
    const argv = url === undefined ? command.argv : ([...command.argv, url.href] as const)
    const stdin = answer === undefined ? '' : formatAnswer(answer)
    merge(source.set, parseCredentialSet(await this.#run({ argv: [...argv], stdin })))
  }

  #netrcFile(): string {
    return this.#init.env.NETRC || join(this.#init.home, '.netrc')
  }
}

const nothingNew: Renewal = { headers: undefined, trouble: undefined }

/** Reads a netrc file; one that nobody named need not exist. */
async function readNetrc(file: string, isNamed: boolean): Promise<Map<string, HeaderList>> {
  const set = new Map<string, HeaderList>()
  for (const { machine, login, password } of parseNetrc(await readSmall(file, isNamed))) {
    const key = `machine ${machine}`
    if (!set.has(key)) set.set(key, basicAuth(login, password))
  }
  return set
}

async function readSmall(file: string, isNamed: boolean): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size > maxNetrcBytes) throw new HelperError(`${file} is too large`)
    return await readFile(file, 'utf8')
  } catch (error) {
    if (!isNamed && isFileError(error) && error.code === 'ENOENT') return ''
    throw error
  }
}

/** Headers without any line take a credential back. */
function merge(into: Map<string, HeaderList>, from: CredentialSet): void {
  for (const [key, headers] of from) {
    if (headers.length === 0) into.delete(key)
    else into.set(key, headers)
  }
}

/** `host/a/b`, `host/a`, `host`. */
function parents(key: string): readonly string[] {
  const all: string[] = []
  for (let end = key.length; end > 0; end = key.lastIndexOf('/', end - 1)) {
    all.push(key.slice(0, end))
  }
  return all
}

function formatAnswer({ status, statusText, headers }: RefusedAnswer): string {
  let text = `HTTP/1.1 ${status} ${statusText}\n`
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) text += `${name}: ${[value].flat().join(', ')}\n`
  }
  return `${text}\n`
}

function sameHeaders(a: HeaderList, b: HeaderList): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i])
}

function isFileError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'errno' in error
}

function describe(command: CredentialCommand, error: Error): string {
  if (command.kind !== 'netrc' || !isFileError(error)) return error.message
  return `the netrc file cannot be read (${error.code})`
}

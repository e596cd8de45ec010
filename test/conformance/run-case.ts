import { setTimeout as sleep } from 'node:timers/promises'
import type { AskStep, ConformanceCase, Expectation, ServerSettings, Step } from './case.ts'
import { checkReply } from './check.ts'
import { type Reply, send, sendRaw } from './send.ts'
import { needsOwnDatabase, World } from './world.ts'

/** What a server is started with. */
export interface LaunchInit extends ServerSettings {
  /** GOPROXY syntax, names replaced. */
  readonly list: string
  readonly sumdb: { readonly name: string; readonly key: string; readonly url: string }
  /** A folder of its own, kept over a restart. */
  readonly dir: string
}

/** A server that serves. */
export interface LaunchedServer {
  /** Scheme, host and port. */
  readonly origin: string
  stop(): Promise<void>
}

/** A way to start servers of one product. */
export interface Launcher {
  readonly name: string
  /** Settings that it understands; a case that needs another is not run. */
  readonly understands: ReadonlySet<keyof ServerSettings>
  /** False where it cannot be told of a checksum database to serve; cases that ask it for one are not run. */
  readonly servesDatabase?: boolean
  /** One server for all cases, which cannot be restarted, with the world that it was told of. */
  readonly shared?: World
  launch(init: LaunchInit): Promise<LaunchedServer>
}

/** How a case ended. */
export type Outcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly faults: readonly string[] }
  /** It needs what this server cannot be told. */
  | { readonly kind: 'not-run'; readonly reason: string }

/** Longest wait for one reply, and for what must come true in the end, on a quiet machine. Milliseconds. */
const quietReplyMs = 12_000
const quietUntilMs = 10_000
const defaultLog = { before: 60, after: 200 }
/** Modules under this are said to be private to every server. */
export const privatePattern = 'private.test/*'

/**
 * Runs one case against a server of its own, or against the shared one. `tag`: makes its names unique; `patience`: how
 * many times longer than on a quiet machine everything may take, 1 when absent.
 */
export async function runCase(
  launcher: Launcher,
  testCase: ConformanceCase,
  init: { readonly tag: string; readonly dir: string; readonly patience?: number },
): Promise<Outcome> {
  const reason = whyNotRun(launcher, testCase)
  if (reason !== undefined) return { kind: 'not-run', reason }
  const log = testCase.log ?? defaultLog
  await using stack = new AsyncDisposableStack()
  const world = launcher.shared ?? stack.use(await World.open({ before: log.before }))
  const names = world.furnish(init.tag)
  const urls = { upstream: world.upstream.url, second: world.second.url, dead: world.dead }
  const expand = expander({ ...names, ...urls, sumdb: `/sumdb/${world.database.name}` })
  for (const module of testCase.modules ?? []) world.add(expand(module))
  if (launcher.shared === undefined) world.database.addFiller(log.after)
  const start = () => launcher.launch(launchInit(world, expand(testCase.server ?? {}), init.dir))
  const run = new CaseRun({ world, expand, start }, init.patience ?? 1)
  stack.defer(() => run.stop())
  await run.start()
  const faults: string[] = []
  for (const step of testCase.steps) {
    faults.push(...(await run.step(step)))
    if (faults.length > 0) break
  }
  world.heal()
  await world.upstream.up()
  return faults.length === 0 ? { kind: 'passed' } : { kind: 'failed', faults }
}

function whyNotRun(launcher: Launcher, testCase: ConformanceCase): string | undefined {
  const settings = Object.keys(testCase.server ?? {}) as (keyof ServerSettings)[]
  const missing = settings.find((setting) => !launcher.understands.has(setting))
  if (missing !== undefined) return `cannot be told ${missing}`
  if (launcher.servesDatabase === false && asksForDatabase(testCase)) {
    return 'cannot be told of a database to serve'
  }
  if (launcher.shared === undefined) return undefined
  if (needsOwnDatabase(testCase)) return 'needs a database of its own'
  return testCase.steps.some(({ kind }) => kind === 'restart') ? 'needs a restart' : undefined
}

function asksForDatabase({ steps }: ConformanceCase): boolean {
  const paths = steps.map((step) =>
    'path' in step && step.kind !== 'asked' && step.kind !== 'break' ? step.path : '',
  )
  return paths.some((path) => path.startsWith('$sumdb'))
}

function launchInit(
  { database, upstream }: World,
  server: ServerSettings,
  dir: string,
): LaunchInit {
  const url = `${upstream.url}/sumdb/${database.name}`
  const sumdb = { name: database.name, key: database.keyText, url }
  return { ...server, list: server.list ?? upstream.url, dir, sumdb }
}

/** One server, what it is asked, and what was held open. */
class CaseRun {
  readonly #world: World
  readonly #expand: Expand
  readonly #start: () => Promise<LaunchedServer>
  readonly #patience: number
  readonly #held = new AbortController()
  readonly #holding: Promise<unknown>[] = []
  #server: LaunchedServer | undefined
  #last: Reply | undefined

  constructor(
    parts: {
      readonly world: World
      readonly expand: Expand
      readonly start: () => Promise<LaunchedServer>
    },
    patience: number,
  ) {
    this.#world = parts.world
    this.#expand = parts.expand
    this.#start = parts.start
    this.#patience = patience
  }

  async start(): Promise<void> {
    this.#server = await this.#start()
  }

  async stop(): Promise<void> {
    this.#held.abort()
    await Promise.all(this.#holding)
    await this.#server?.stop()
  }

  async step(planned: Step): Promise<readonly string[]> {
    const step = this.#expand(planned)
    const world = this.#world
    switch (step.kind) {
      case 'ask':
        return this.#check(step, await this.#ask(step))
      case 'until':
        return await this.#until(step)
      case 'burst':
        return await this.#burst(step)
      case 'raw': {
        const text = step.text.replaceAll('$host', new URL(this.#origin).host)
        const reply = await sendRaw(this.#origin, text, this.#replyMs)
        return this.#judge({ path: JSON.stringify(text.slice(0, 60)), reply }, step.expect)
      }
      case 'hold':
        for (const path of step.paths) this.#hold(path)
        return []
      case 'abandon':
        return await this.#abandon(step.path)
      case 'asked':
        return this.#asked(step)
      case 'restart':
        await this.#server?.stop()
        await this.start()
        return []
      default:
        await change(world, step)
        return []
    }
  }

  get #origin(): string {
    return this.#server?.origin ?? ''
  }

  async #ask({ path, method, headers = {} }: Omit<AskStep, 'kind'>): Promise<Reply> {
    const etag = this.#last?.headers.etag ?? ''
    const sent = Object.entries(headers).map(([name, value]) => [
      name,
      value.replaceAll('$etag', etag),
    ])
    return await send({
      origin: this.#origin,
      path,
      method,
      headers: Object.fromEntries(sent) as Record<string, string>,
      timeoutMs: this.#replyMs,
    })
  }

  get #replyMs(): number {
    return this.#patience * quietReplyMs
  }

  #judge(asked: Parameters<typeof checkReply>[1], expect: Expectation): readonly string[] {
    const { withinMs } = expect
    const patient =
      withinMs === undefined ? expect : { ...expect, withinMs: this.#patience * withinMs }
    return checkReply(this.#world, asked, patient)
  }

  #check(step: Omit<AskStep, 'kind'>, reply: Reply): readonly string[] {
    this.#last = reply
    return this.#judge({ path: step.path, reply }, step.expect)
  }

  async #until(step: Omit<AskStep, 'kind'>): Promise<readonly string[]> {
    const end = performance.now() + this.#patience * quietUntilMs
    for (;;) {
      const faults = this.#check(step, await this.#ask(step))
      if (faults.length === 0 || performance.now() > end) return faults
      await sleep(50)
    }
  }

  async #burst(step: Step & { readonly kind: 'burst' }): Promise<readonly string[]> {
    const replies = await Promise.all(Array.from({ length: step.times }, () => this.#ask(step)))
    return [...new Set(replies.flatMap((reply) => this.#check(step, reply)))]
  }

  #hold(path: string): void {
    const { signal } = this.#held
    this.#holding.push(send({ origin: this.#origin, path, timeoutMs: 60_000, signal }))
  }

  async #abandon(path: string): Promise<readonly string[]> {
    const { upstream } = this.#world
    const gone = new AbortController()
    const asked = send({
      origin: this.#origin,
      path,
      timeoutMs: this.#replyMs,
      signal: gone.signal,
    })
    const end = performance.now() + this.#patience * quietUntilMs
    while (upstream.count(path) === 0 && performance.now() < end) await sleep(5)
    gone.abort()
    await asked
    return upstream.count(path) === 0 ? [`${path}: upstream was never asked`] : []
  }

  #asked({ path, atMost, atLeast = 0, on = 'upstream' }: Step & { kind: 'asked' }): string[] {
    const matches = matcher(path)
    const count = this.#world[on].requests.filter((request) => matches(request.path)).length
    if (count >= atLeast && count <= atMost) return []
    return [`${path}: ${on} was asked ${count} times, wanted ${atLeast} to ${atMost}`]
  }
}

type Change = Exclude<
  Step,
  { readonly kind: 'ask' | 'until' | 'burst' | 'raw' | 'hold' | 'abandon' | 'asked' | 'restart' }
>

async function change(world: World, step: Change): Promise<void> {
  switch (step.kind) {
    case 'break': {
      const matches = matcher(step.path)
      if (step.on === 'second') world.breakSecond(matches, step.fault, step.times)
      else world.breakUpstream(matches, step.fault, step.times)
      return
    }
    case 'heal':
      world.heal()
      return
    case 'down':
      await world.upstream.down()
      return
    case 'up':
      await world.upstream.up()
      return
    case 'publish':
      world.add(step.module)
      return
    case 'database':
      world.breakDatabase(step.fault)
      return
    case 'grow':
      world.database.addFiller(step.records)
      return
    case 'forget':
      world.upstream.forget()
      world.second.forget()
  }
}

function matcher(pattern: string): (path: string) => boolean {
  const start = pattern.endsWith('*') ? pattern.slice(0, -1) : undefined
  return (path) => (start === undefined ? path === pattern : path.startsWith(start))
}

type Expand = <T>(value: T) => T

/** Replaces `$name` in every text of a value; the longest name wins. */
function expander(names: object): Expand {
  const known = Object.entries(names).toSorted(([a], [b]) => b.length - a.length)
  const expand = (value: unknown): unknown => {
    if (typeof value === 'string') {
      return known.reduce((text, [name, given]) => text.replaceAll(`$${name}`, given), value)
    }
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
    if (Array.isArray(value)) return value.map(expand)
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [expand(key), expand(inner)]),
    )
  }
  return expand as Expand
}

import type { FakeModule, Fault } from '../support/fake-upstream.ts'

/**
 * One promise of a GOPROXY server, as data. Texts may hold names that are made anew for each case, so that all
 * cases can run against one server that is never restarted: `$m` a module, `$U` another as URLs spell it (it has an
 * upper-case letter) and `$E` as `go` sends it, `$p` a private one, `$x` one that nobody has, `$etag` the ETag of the reply before.
 */
export interface ConformanceCase {
  /** A sentence. */
  readonly name: string
  /** More than the modules of every case (see world.ts). */
  readonly modules?: readonly FakeModule[]
  /** Records that the checksum database holds before and after those of the case's modules. */
  readonly log?: { readonly before: number; readonly after: number }
  readonly server?: ServerSettings
  readonly steps: readonly Step[]
}

/** How the server is to be started, where that is not the usual way. */
export interface ServerSettings {
  /** GOPROXY syntax; `$upstream`, `$second` and `$dead` (a port that refuses) are the URLs. Default: `$upstream`. */
  readonly list?: string
  readonly offline?: boolean
  /** How long lists stay fresh, seconds. */
  readonly ttl?: number
  /** Base path that every request must begin with. */
  readonly secret?: string
}

/** What is done, in order. */
export type Step =
  | AskStep
  /** As `ask`, until the expectation holds, for at most 10 s. */
  | (Omit<AskStep, 'kind'> & { readonly kind: 'until' })
  /** The same request so many times at once; the expectation is of each. */
  | (Omit<AskStep, 'kind'> & { readonly kind: 'burst'; readonly times: number })
  /** Bytes as they are, on a connection of their own. */
  | { readonly kind: 'raw'; readonly text: string; readonly expect: Expectation }
  /** Requests that nobody waits for, and that are cut when the case ends. */
  | { readonly kind: 'hold'; readonly paths: readonly string[] }
  /** A request whose client goes away as soon as upstream was asked for the path. */
  | { readonly kind: 'abandon'; readonly path: string }
  /** Breaks what an upstream answers to paths that are or, with a `*` at the end, begin like this. */
  | {
      readonly kind: 'break'
      readonly path: string
      readonly fault: Fault
      readonly times?: number
      readonly on?: 'upstream' | 'second'
    }
  /** Ends all faults, of the database too. */
  | { readonly kind: 'heal' }
  | { readonly kind: 'down' }
  | { readonly kind: 'up' }
  | { readonly kind: 'publish'; readonly module: FakeModule }
  | { readonly kind: 'database'; readonly fault: DatabaseFault }
  /** Adds records to the log. */
  | { readonly kind: 'grow'; readonly records: number }
  /** How often upstream was asked for paths that are or, with a `*` at the end, begin like this. */
  | {
      readonly kind: 'asked'
      readonly path: string
      readonly atLeast?: number
      readonly atMost: number
      readonly on?: 'upstream' | 'second'
    }
  /** Forgets what upstream was asked for. */
  | { readonly kind: 'forget' }
  /** Stops the server and starts it on the same data. */
  | { readonly kind: 'restart' }

export interface AskStep {
  readonly kind: 'ask'
  readonly path: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly expect: Expectation
}

/** How the checksum database misbehaves. */
export type DatabaseFault =
  | { readonly kind: 'down' }
  /** One bit of every version of the tile at this place. */
  | { readonly kind: 'flip'; readonly tile: string; readonly at?: number }
  | { readonly kind: 'missing'; readonly tile: string }
  /** Answers a lookup with the record of another module version. */
  | { readonly kind: 'swap'; readonly asked: string; readonly given: string }
  /** Swaps, and adds go.sum lines of an altered zip to the signed note; upstream serves that zip. */
  | { readonly kind: 'hidden-lines'; readonly asked: string; readonly given: string }
  /** A record of an altered zip, and the one leaf tile that fits it; upstream serves that zip. */
  | { readonly kind: 'forge'; readonly module: string }
  /** A line more in the record of every lookup. */
  | { readonly kind: 'extra-line'; readonly line: string }
  | { readonly kind: 'bad-signature' }
  | { readonly kind: 'other-name' }
  | { readonly kind: 'other-key' }
  | { readonly kind: 'record-number'; readonly add: number }
  /** Shows the tree as it was at this size. */
  | { readonly kind: 'rollback'; readonly size: number }
  /** From then on another log with the same key, equal in its first records only. */
  | { readonly kind: 'fork'; readonly keep: number; readonly size: number }
  /** Ends a fork: the true log again. */
  | { readonly kind: 'mend' }

/** What must hold of a reply. */
export interface Expectation {
  readonly status: StatusClass | number
  /** By lower-case name. */
  readonly headers?: Readonly<Record<string, HeaderRule>>
  readonly body?: BodyRule
  readonly withinMs?: number
}

/**
 * `ok`: 200. `absent`: 404 or 410, after which `go` asks the next proxy of a list. `trouble`: 5xx. `refused`: an
 * error, or a cut connection, after which it does not. `error`: any 4xx or 5xx. `bad`: 4xx, or a
 * redirect to what the server takes for the right spelling.
 */
export type StatusClass = 'ok' | 'absent' | 'trouble' | 'refused' | 'error' | 'bad'

export type HeaderRule =
  | { readonly is: string }
  | { readonly starts: string }
  | { readonly has: string }
  | { readonly lacks: string }
  | { readonly present: boolean }

export type BodyRule =
  /** The bytes that upstream has for the path, or a part of them; negative numbers count from the end. */
  | {
      readonly kind: 'upstream'
      readonly path?: string
      readonly from?: number
      readonly to?: number
    }
  | { readonly kind: 'empty' }
  | { readonly kind: 'has'; readonly texts: readonly string[] }
  | { readonly kind: 'lacks'; readonly texts: readonly string[] }
  /** These lines in any order, and no others. */
  | { readonly kind: 'lines'; readonly lines: readonly string[] }
  | { readonly kind: 'json'; readonly has: Readonly<Record<string, string>> }
  /** A text that `go` shows to people: plain, printable, at most 8 lines, not empty. */
  | { readonly kind: 'shown'; readonly texts?: readonly string[] }
  /** The true record of a module version under a head that the database signed. */
  | { readonly kind: 'lookup'; readonly module: string }
  /** A head that the database signed. */
  | { readonly kind: 'head'; readonly atLeast?: number }
  | { readonly kind: 'tile'; readonly path: string }

/** Cases of one subject. */
export interface Subject {
  readonly name: string
  readonly cases: readonly ConformanceCase[]
}

/** Asks for a path. */
export function ask(
  path: string,
  expect: Expectation | StatusClass | number,
  request: Pick<AskStep, 'method' | 'headers'> = {},
): AskStep {
  return { kind: 'ask', path, expect: expectation(expect), ...request }
}

/** Asks for a path until the answer is the right one, for at most 10 s. */
export function eventually(path: string, expect: Expectation | StatusClass): Step {
  return { kind: 'until', path, expect: expectation(expect) }
}

/** Asks for a path many times at once. */
export function burst(times: number, path: string, expect: StatusClass): Step {
  return { kind: 'burst', times, path, expect: expectation(expect) }
}

/** Breaks what upstream answers. */
export function broken(path: string, fault: Fault, times?: number): Step {
  return { kind: 'break', path, fault, ...(times === undefined ? {} : { times }) }
}

/** Bounds how often upstream was asked. */
export function asked(path: string, atMost: number, atLeast = 0): Step {
  return { kind: 'asked', path, atMost, atLeast }
}

/** A misbehaving database. */
export function database(fault: DatabaseFault): Step {
  return { kind: 'database', fault }
}

export const heal: Step = { kind: 'heal' }
export const down: Step = { kind: 'down' }
export const up: Step = { kind: 'up' }
export const restart: Step = { kind: 'restart' }
export const forget: Step = { kind: 'forget' }

function expectation(expect: Expectation | StatusClass | number): Expectation {
  return typeof expect === 'object' ? expect : { status: expect }
}

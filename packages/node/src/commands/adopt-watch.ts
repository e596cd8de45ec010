import { type FSWatcher, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { formatModuleVersion } from '@modmesh/module'
import type { AdoptReport } from '../adopt/adopt-report.ts'
import { type CachedVersion, cachedVersions, downloadsOf } from '../adopt/module-cache.ts'
import { CommandError, errorCode, errorText } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { AskAdopt } from './adopt.ts'

/** `go` writes the files of a module version one after the other. Milliseconds. */
const settleMs = 500
/** Between looks without an event: watching may miss some, and the database may answer by now. Milliseconds. */
const rescanMs = 60_000
/** Between looks for a cache that is not there: `go` makes it with the first download. Milliseconds. */
const absentMs = 1_000
/** Module versions of one request. */
const maxNames = 2_000

interface WatchInit {
  readonly ask: AskAdopt
  readonly print: (report: AdoptReport) => void
}

/** Follows a module cache until SIGINT or SIGTERM: what `go` downloads is adopted within seconds. */
export async function watchCache(cache: string, init: WatchInit): Promise<ExitCode> {
  const downloads = downloadsOf(cache)
  const ended = new AbortController()
  const end = (): void => ended.abort()
  process.once('SIGINT', end).once('SIGTERM', end)
  const follower = new Follower(downloads, init)
  const bell = new Bell(ended.signal)
  using events = new FolderEvents(downloads, () => bell.ring())
  note(`following ${downloads}; Ctrl-C ends`)
  while (!ended.signal.aborted) {
    const isThere = await events.follow()
    await follower.look(ended.signal)
    await bell.next(isThere ? rescanMs : absentMs)
    await bell.pause(settleMs)
  }
  return exitCodes.done
}

/** Tells of changes below a folder, also after it was removed and made anew, as by `go clean -modcache`. */
class FolderEvents implements Disposable {
  readonly #folder: string
  readonly #onEvent: () => void
  #watched: { readonly inode: number; readonly watcher: FSWatcher | undefined } | undefined

  constructor(folder: string, onEvent: () => void) {
    this.#folder = folder
    this.#onEvent = onEvent
  }

  /** Sees to it that the folder is watched; false when there is none. Without events a rescan finds what is new. */
  async follow(): Promise<boolean> {
    const found = await stat(this.#folder).catch(() => undefined) // not there, or not ours to read
    if (found === undefined || this.#watched?.inode !== found.ino) this[Symbol.dispose]()
    if (found === undefined) return false
    this.#watched ??= { inode: found.ino, watcher: this.#watch() }
    return true
  }

  [Symbol.dispose](): void {
    this.#watched?.watcher?.close()
    this.#watched = undefined
  }

  #watch(): FSWatcher | undefined {
    try {
      const watcher = watch(this.#folder, { recursive: true }, this.#onEvent)
      watcher.on('error', (error) => note(`not all changes are seen at once: ${errorText(error)}`))
      return watcher
    } catch (error) {
      note(`changes are not seen at once: ${errorText(error)}`)
      return undefined
    }
  }
}

/** Remembers which files were looked at, and has the others adopted. */
class Follower {
  readonly #downloads: string
  readonly #init: WatchInit
  /** State of the files of each module version when nothing was left to do about it. */
  readonly #settled = new Map<string, string>()
  /** The same of those that nobody vouched for, or that could not be read. */
  readonly #open = new Map<string, string>()

  constructor(downloads: string, init: WatchInit) {
    this.#downloads = downloads
    this.#init = init
  }

  /** Never rejects: what fails now is tried again. */
  async look(signal: AbortSignal): Promise<void> {
    try {
      const changed = await this.#changed()
      const { fresh = [], open = [] } = Object.groupBy(changed.keys(), (name) =>
        this.#open.get(name) === changed.get(name) ? 'open' : 'fresh',
      )
      for (const again of [false, true]) {
        const names = again ? open : fresh
        for (let i = 0; i < names.length && !signal.aborted; i += maxNames) {
          await this.#adopt({ only: names.slice(i, i + maxNames), again }, changed, signal)
        }
      }
    } catch (error) {
      if (!signal.aborted) note(error instanceof CommandError ? error.message : errorText(error))
    }
  }

  async #adopt(
    names: { readonly only: readonly string[]; readonly again: boolean },
    states: ReadonlyMap<string, string>,
    signal: AbortSignal,
  ): Promise<void> {
    const report = await this.#init.ask(names, { signal })
    // Who vouches for it may be reached another time; what is refused stays so until it changes.
    const open = new Set([...report.unproven, ...report.failed].map(({ module }) => module))
    for (const name of names.only) {
      const state = states.get(name) ?? ''
      if (open.has(name)) this.#open.set(name, state)
      else this.#settled.set(name, state)
    }
    const { zips, mods, refused, failed } = report
    const isNews =
      zips.added + mods.added + refused.length > 0 || (failed.length > 0 && !names.again)
    if (isNews) this.#init.print(report)
  }

  async #changed(): Promise<ReadonlyMap<string, string>> {
    const changed = new Map<string, string>()
    for await (const version of cachedVersions(this.#downloads)) {
      const name = formatModuleVersion(version.module)
      const state = await stateOf(version)
      if (this.#settled.get(name) !== state) changed.set(name, state)
    }
    return changed
  }
}

/** Sizes and times of its files: another text, and one of them is another. */
async function stateOf({ base, kinds }: CachedVersion): Promise<string> {
  const states = [...kinds].toSorted().map(async (kind) => {
    try {
      const { ino, size, mtimeMs } = await stat(`${base}.${kind}`)
      return `${kind} ${ino} ${size} ${mtimeMs}`
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return ''
      throw error
    }
  })
  return (await Promise.all(states)).join(' ')
}

/** Rings now and then; whoever waits is woken. */
class Bell {
  readonly #signal: AbortSignal
  #rang = false
  #wake: () => void = () => {}

  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => this.ring(), { once: true })
  }

  ring(): void {
    this.#rang = true
    this.#wake()
  }

  /** Resolves when it rang since the last time, or after `ms`. */
  async next(ms: number): Promise<void> {
    if (!this.#rang) await this.#wait(ms)
    this.#rang = false
  }

  /** Resolves after `ms`, or when it is over. */
  async pause(ms: number): Promise<void> {
    const endMs = performance.now() + ms
    while (!this.#signal.aborted && performance.now() < endMs) {
      await this.#wait(endMs - performance.now())
    }
  }

  async #wait(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const timer = setTimeout(resolve, ms)
    await promise
    clearTimeout(timer)
  }
}

function note(text: string): void {
  process.stderr.write(`modmesh: ${text}\n`)
}

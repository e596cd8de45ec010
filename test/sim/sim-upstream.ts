import {
  type ByteSink,
  type Clock,
  ModuleNotFoundError,
  OfflineError,
  type Upstream,
  type UpstreamAnswer,
  UpstreamUnavailableError,
} from '@modmesh/fill'
import { untilAborted } from '@modmesh/fill/twins'
import { formatModuleVersion, type ModulePath, type ModuleVersion } from '@modmesh/module'
import type { Rng } from './rng.ts'
import type { Truth } from './truth.ts'

/** What the one upstream of the world does right now. */
export type UpstreamMood = 'well' | 'down' | 'slow' | 'stall' | 'hang' | 'wrong' | 'restart'

export const upstreamMoods: readonly UpstreamMood[] = [
  'down',
  'slow',
  'stall',
  'hang',
  'wrong',
  'restart',
]

/** The one upstream of the world. */
export class Internet {
  mood: UpstreamMood = 'well'
  /** How often each file was asked for, by everybody together. */
  readonly asked = new Map<string, number>()

  count(what: string): void {
    this.asked.set(what, (this.asked.get(what) ?? 0) + 1)
  }
}

/** A node's way to upstream. */
export class SimUpstream implements Upstream {
  readonly #internet: Internet
  readonly #truth: Truth
  readonly #clock: Clock
  readonly #rng: Rng
  readonly #isOnline: boolean
  /** Questions asked of the network: none may be asked by a node that is offline. */
  asked = 0

  constructor(parts: {
    readonly internet: Internet
    readonly truth: Truth
    readonly clock: Clock
    readonly rng: Rng
    readonly isOnline: boolean
  }) {
    this.#internet = parts.internet
    this.#truth = parts.truth
    this.#clock = parts.clock
    this.#rng = parts.rng
    this.#isOnline = parts.isOnline
  }

  isEnabled(): boolean {
    return this.#isOnline
  }

  async fetchZip(
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal; readonly onReset: () => Promise<void> },
  ): Promise<{ readonly from: string }> {
    this.#internet.count(`zip ${formatModuleVersion(module)}`)
    const mood = await this.#ask(options)
    const zip = this.#give(mood, module, 'zip')
    await sink.write(zip.subarray(0, 32))
    if (mood === 'restart') {
      await options.onReset()
      await sink.write(zip.subarray(0, 32))
    }
    await this.#clock.sleep(5, options)
    if (mood === 'stall') await untilAborted(options.signal)
    await sink.write(zip.subarray(32))
    return { from }
  }

  async fetchMod(module: ModuleVersion, options: Asking): Promise<UpstreamAnswer> {
    this.#internet.count(`mod ${formatModuleVersion(module)}`)
    const mood = await this.#ask(options)
    return { bytes: this.#give(mood, module, 'mod'), from }
  }

  async fetchInfo(module: ModuleVersion, options: Asking): Promise<UpstreamAnswer> {
    this.#internet.count(`info ${formatModuleVersion(module)}`)
    const mood = await this.#ask(options)
    return { bytes: this.#give(mood, module, 'info'), from }
  }

  async fetchList(path: ModulePath, options: Asking): Promise<UpstreamAnswer> {
    await this.#ask(options)
    const lines = this.#of(path).map(({ module }) => `${module.version}\n`)
    return { bytes: new TextEncoder().encode(lines.join('')), from }
  }

  async fetchLatest(path: ModulePath, options: Asking): Promise<UpstreamAnswer> {
    const mood = await this.#ask(options)
    return { bytes: mood === 'wrong' ? page : this.#of(path).at(-1)!.info, from }
  }

  async fetchQuery(path: ModulePath, _query: string, options: Asking): Promise<UpstreamAnswer> {
    return await this.fetchLatest(path, options)
  }

  /** Waits as the mood has it. The mood may change meanwhile: the one it began in counts. */
  async #ask(options: Asking): Promise<UpstreamMood> {
    this.asked++
    if (!this.#isOnline) throw new OfflineError('offline')
    const { mood } = this.#internet
    if (mood === 'hang') await new Promise(() => {})
    await this.#clock.sleep(mood === 'slow' ? 4_000 : this.#rng.between(20, 200), options)
    if (mood === 'down') throw new UpstreamUnavailableError('upstream is down')
    return mood
  }

  /** Of a private module upstream's word is all there is: nobody could tell a wrong one. */
  #give(mood: UpstreamMood, module: ModuleVersion, what: 'zip' | 'mod' | 'info'): Uint8Array {
    const release = this.#truth.find(module)
    if (release === undefined) throw new ModuleNotFoundError('upstream has no such version')
    return mood === 'wrong' && !release.isPrivate ? falsify(release[what]) : release[what]
  }

  #of(path: ModulePath) {
    const releases = this.#truth.releases.filter((release) => release.module.path === path)
    if (releases.length === 0) throw new ModuleNotFoundError('upstream has no such module')
    return releases
  }
}

type Asking = { readonly signal: AbortSignal }

const from = 'https://upstream.example'
const page = new TextEncoder().encode('<html>please log in</html>')

function falsify(bytes: Uint8Array): Uint8Array {
  const wrong = bytes.slice()
  wrong[10] = wrong[10]! ^ 1
  return wrong
}

import type { Clock, PeerId } from '@modmesh/fill'
import { formatModuleVersion } from '@modmesh/module'
import type { SeedLine, SeedProgress } from './seed-report.ts'
import {
  bringItem,
  holdersOf,
  membersOf,
  type SeedItem,
  type SeedSite,
  takersOf,
  whyNot,
} from './seed-site.ts'

/** Items that one member brings at a time: its turns on the link and what waits for them. */
const itemsPerMember = 12
/**
 * Tries of one item while the giver is connected to us, with waits that double: half a minute in all, since
 * each member finds a giver that came back by itself.
 */
const maxTries = 7
/** Between two looks at who holds what, and whether the giver is back. Milliseconds. */
const lookMs = 250
/** How long what a member brought may take to be told to the others. Milliseconds. */
const toldMs = 5_000

/** What a seed works with. */
export interface SeedWorkComponents {
  readonly site: SeedSite
  readonly clock: Clock
  /** Whether the giver is connected, and its link open. */
  readonly isThere: () => boolean
  readonly onProgress: (progress: SeedProgress) => void
}

/** How it is done. */
export interface SeedWorkInit {
  /** Copies of each. */
  readonly replicas: number
  /** How long a giver that went away is waited for. Milliseconds. */
  readonly waitMs: number
}

interface Task {
  readonly item: SeedItem
  tries: number
  failure: string | undefined
}

/** Brings items into a site: each over the link once, by the member that it falls to, then copies inside. */
export class SeedWork {
  readonly #parts: SeedWorkComponents
  readonly #init: SeedWorkInit
  readonly counts = { present: 0, crossed: 0, copied: 0 }
  #here = 0
  #done = 0
  #total = 0
  #awayMs: number | undefined

  constructor(components: SeedWorkComponents, init: SeedWorkInit) {
    this.#parts = components
    this.#init = init
  }

  /** Resolves when each item is there as often as wanted, or cannot be had. Throws the signal's reason. */
  async run(
    items: readonly SeedItem[],
    options: { readonly signal: AbortSignal },
  ): Promise<ReadonlyMap<SeedItem, string>> {
    const tasks = items.map((item): Task => ({ item, tries: 0, failure: undefined }))
    this.#total = tasks.length
    await this.#inTurns(tasks, (task) => this.#cross(task, options))
    await this.#inTurns(tasks, (task) => this.#copy(task, options))
    const failed = tasks.flatMap(({ item, failure }) =>
      failure === undefined ? [] : ([[item, failure]] as const),
    )
    return new Map(failed)
  }

  /** Who holds each item now, and why that is not enough. */
  async report(
    items: readonly SeedItem[],
    failures: ReadonlyMap<SeedItem, string>,
    nameOf: (member: PeerId) => string,
  ): Promise<readonly SeedLine[]> {
    const { site } = this.#parts
    return await Promise.all(
      items.map(async (item): Promise<SeedLine> => {
        const held = await holdersOf(site, item)
        const isEnough = held.length >= this.#init.replicas
        const missing = isEnough ? null : (failures.get(item) ?? 'a copy was not made')
        const what = item.zipHash === undefined ? 'mod' : 'zip'
        return { module: formatModuleVersion(item.module), what, held: held.map(nameOf), missing }
      }),
    )
  }

  async #inTurns(tasks: readonly Task[], work: (task: Task) => Promise<void>): Promise<void> {
    const waiting = [...tasks]
    const lanes = itemsPerMember * membersOf(this.#parts.site).length
    const lane = async (): Promise<void> => {
      for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) await work(task)
    }
    await Promise.all(Array.from({ length: lanes }, lane))
  }

  /** Has one member bring it, if none has it. */
  async #cross(task: Task, options: { readonly signal: AbortSignal }): Promise<void> {
    const { site } = this.#parts
    const held = await holdersOf(site, task.item)
    if (held.length > 0) {
      this.counts.present += 1
      this.#here += 1
      return
    }
    const isThere = await this.#try(task, options, 'crossing', async (attempt) => {
      const members = takersOf(task.item, membersOf(site), this.#init.replicas)
      const member = members[attempt % members.length] ?? site.self
      await bringItem(site, member, task.item, options)
      await this.#told(member, task.item, options)
      this.#here += 1
    })
    if (isThere && task.item.zipHash !== undefined) this.counts.crossed += 1
  }

  /** Has others copy it from who has it, one after the other; where one cannot, or leaves, the next one does. */
  async #copy(task: Task, options: { readonly signal: AbortSignal }): Promise<void> {
    const { site } = this.#parts
    let isDone = task.failure !== undefined
    while (!isDone) {
      task.tries = 0
      const isTried = await this.#try(task, options, 'copying', async (attempt) => {
        const held = new Set(await holdersOf(site, task.item))
        isDone = held.size >= this.#init.replicas
        if (isDone) return
        const lacking = takersOf(task.item, membersOf(site)).filter((member) => !held.has(member))
        const member = lacking[attempt % lacking.length]
        if (member === undefined) throw new Error('fewer members are connected than copies wanted')
        await bringItem(site, member, task.item, options)
        await this.#told(member, task.item, options)
        this.counts.copied += 1
      })
      if (!isTried) return
    }
    if (task.failure !== undefined) return
    this.#done += 1
    this.#tell('copying')
  }

  /** Tries until it is done, waiting for a giver that went away; notes why it failed. */
  async #try(
    task: Task,
    { signal }: { readonly signal: AbortSignal },
    state: 'crossing' | 'copying',
    work: (attempt: number) => Promise<void>,
  ): Promise<boolean> {
    while (task.tries < maxTries) {
      if (state === 'crossing' && !(await this.#whenThere(signal))) break
      try {
        await work(task.tries)
        task.failure = undefined
        this.#tell(state)
        return true
      } catch (error) {
        signal.throwIfAborted()
        task.failure = whyNot(error)
        // What failed because the link went away was no try.
        if (state === 'copying' || this.#parts.isThere()) task.tries += 1
        await this.#parts.clock.sleep(lookMs * 2 ** task.tries, { signal })
      }
    }
    task.failure ??= 'the giver went away'
    return false
  }

  /** Whether the giver is there, or came back in time. */
  async #whenThere(signal: AbortSignal): Promise<boolean> {
    const { clock, isThere } = this.#parts
    while (!isThere()) {
      this.#awayMs ??= clock.monotonicMs()
      if (clock.monotonicMs() - this.#awayMs > this.#init.waitMs) return false
      this.#tell('waiting')
      await clock.sleep(lookMs, { signal })
    }
    this.#awayMs = undefined
    return true
  }

  /** Waits until a member says that it holds it: who copies it then knows, too. */
  async #told(
    member: PeerId,
    item: SeedItem,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    const { site, clock } = this.#parts
    const endMs = clock.monotonicMs() + toldMs
    while (!(await site.holds(member, item))) {
      if (clock.monotonicMs() >= endMs) throw new Error('it was brought and not kept')
      await clock.sleep(lookMs / 5, options)
    }
  }

  #tell(state: SeedProgress['state']): void {
    this.#parts.onProgress({ here: this.#here, done: this.#done, total: this.#total, state })
  }
}

import type { Clock } from '@modmesh/fill'
import * as v from 'valibot'
import { siteLimits } from '../limits.ts'
import type { MembershipStore } from '../membership/membership-store.ts'

/** Bytes of zips that went over the link to a site. */
export interface SiteBytes {
  readonly given: number
  readonly taken: number
  /** That did not need to go: what was asked for less what went. */
  readonly saved: number
}

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const fileSchema = v.object({
  v: v.literal(1),
  sinceMs: count,
  sites: v.pipe(
    v.array(v.object({ site: v.string(), given: count, taken: count, saved: count })),
    v.maxLength(siteLimits.sites),
  ),
})

const none: SiteBytes = { given: 0, taken: 0, saved: 0 }

/** Counts bytes by site, over restarts: what was counted within `saveMs` of a crash is lost. */
export class SiteTraffic {
  readonly #clock: Clock
  readonly #file: MembershipStore | undefined
  readonly #failed: (error: unknown) => void
  readonly #sites = new Map<string, SiteBytes>()
  readonly #stopping = new AbortController()
  #sinceMs: number
  #isDirty = false
  #saving: Promise<void> = Promise.resolve()

  constructor(components: {
    readonly clock: Clock
    /** Where the counts are kept; absent: nowhere. */
    readonly file: MembershipStore | undefined
    readonly failed: (error: unknown) => void
  }) {
    this.#clock = components.clock
    this.#file = components.file
    this.#failed = components.failed
    this.#sinceMs = this.#clock.wallMs()
  }

  /** Reads what was counted before, and saves now and then. A file that cannot be read counts as none. */
  async start(): Promise<void> {
    try {
      const bytes = await this.#file?.read()
      if (bytes !== undefined) this.#take(bytes)
    } catch (error) {
      this.#failed(error)
    }
    void this.#saveLater()
  }

  /** Saves, and ends. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#save()
  }

  add(site: string, bytes: Partial<SiteBytes>): void {
    const before = this.of(site)
    if (!this.#sites.has(site) && this.#sites.size >= siteLimits.sites) return
    this.#isDirty = true
    this.#sites.set(site, {
      given: before.given + (bytes.given ?? 0),
      taken: before.taken + (bytes.taken ?? 0),
      saved: before.saved + (bytes.saved ?? 0),
    })
  }

  of(site: string): SiteBytes {
    return this.#sites.get(site) ?? none
  }

  /** Sites with counts. */
  names(): Iterable<string> {
    return this.#sites.keys()
  }

  /** When counting began, ms since 1970. */
  get sinceMs(): number {
    return this.#sinceMs
  }

  #take(bytes: Uint8Array): void {
    const file = v.parse(fileSchema, JSON.parse(Buffer.from(bytes).toString('utf8')))
    this.#sinceMs = file.sinceMs
    for (const { site, ...counts } of file.sites) this.add(site, counts)
    this.#isDirty = false
  }

  async #saveLater(): Promise<void> {
    try {
      for (;;) {
        await this.#clock.sleep(siteLimits.saveMs, { signal: this.#stopping.signal })
        await this.#save()
      }
    } catch {
      // Stopped: the last counts are saved by who stops us.
    }
  }

  /** Never rejects. */
  #save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      if (!this.#isDirty || this.#file === undefined) return
      this.#isDirty = false
      const sites = [...this.#sites].map(([site, counts]) => ({ site, ...counts }))
      const text = JSON.stringify({ v: 1, sinceMs: this.#sinceMs, sites })
      try {
        await this.#file.write(Buffer.from(text))
      } catch (error) {
        this.#failed(error)
      }
    })
    return this.#saving
  }
}

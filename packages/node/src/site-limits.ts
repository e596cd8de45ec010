import type { SiteRule, SiteRules } from '@modmesh/peers'
import type { DurableFile } from '@modmesh/store'
import * as v from 'valibot'
import type { Settings } from './settings.ts'
import { formatSiteRules, parseSiteRules } from './site-rules.ts'

const fileSchema = v.object({ v: v.literal(1), sites: v.record(v.string(), v.string()) })

const noSites: v.InferOutput<typeof fileSchema> = { v: 1, sites: {} }

/** What was set at run time for site links: it outlives the process, and wins over the configuration. */
export class SiteLimits {
  readonly #file: Pick<DurableFile, 'read' | 'write'>
  readonly #configured: SiteRules
  readonly #set: Map<string, readonly SiteRule[]>

  private constructor(
    file: Pick<DurableFile, 'read' | 'write'>,
    configured: SiteRules,
    set: Map<string, readonly SiteRule[]>,
  ) {
    this.#file = file
    this.#configured = configured
    this.#set = set
  }

  /** Reads what was set before. Throws when the file is damaged. */
  static async open(
    file: Pick<DurableFile, 'read' | 'write'>,
    { siteLink }: Pick<Settings, 'siteLink'>,
  ): Promise<SiteLimits> {
    const configured = new Map(siteLink.map(({ site, rules }) => [site, rules]))
    const bytes = await file.read()
    const text = bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8')
    const { sites } = text === undefined ? noSites : v.parse(fileSchema, JSON.parse(text))
    const set = Object.entries(sites).map(([site, words]) => [site, parseSiteRules(words)] as const)
    return new SiteLimits(file, configured, new Map(set))
  }

  /** What holds when the node starts. */
  get rules(): SiteRules {
    return new Map([...this.#configured, ...this.#set])
  }

  /**
   * Sets the words of a site, or forgets what was set, and returns the site's own rules then: undefined where it
   * follows those of all others. Durable when it resolves.
   */
  async set(site: string, words: string | undefined): Promise<readonly SiteRule[] | undefined> {
    if (words === undefined) this.#set.delete(site)
    else this.#set.set(site, parseSiteRules(words))
    const sites = Object.fromEntries(
      [...this.#set].map(([name, of]) => [name, formatSiteRules(of)]),
    )
    await this.#file.write(Buffer.from(JSON.stringify({ v: 1, sites })))
    return this.rules.get(site)
  }
}

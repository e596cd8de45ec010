import { PeerError } from '@modmesh/fill'
import type { MeshNode } from '@modmesh/peers'
import type { SiteRequest } from './control-socket/requests.ts'
import { CommandError } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import type { SiteLimits } from './site-limits.ts'
import { InvalidSiteRuleError } from './site-rules.ts'
import { type SiteLine, siteLine } from './sites-report.ts'

/** What `site list` is answered with. */
export interface SitesReport {
  /** Of this node. */
  readonly site: string
  readonly sites: readonly SiteLine[]
}

/** What `site test` is answered with. */
export interface SiteTestReport {
  readonly site: string
  /** The member that was asked. */
  readonly peer: string
  readonly rttMs: { readonly least: number; readonly median: number }
  readonly bytes: number
  readonly ms: number
  readonly bytesPerSecond: number
}

const siteCommands = new Set<string>([
  'site-list',
  'site-limit',
  'site-test',
] satisfies SiteRequest['command'][])

/** Whether a request is about links to other sites. */
export function isSiteRequest(request: { readonly command: string }): request is SiteRequest {
  return siteCommands.has(request.command)
}

/** Does what a client asks about links to other sites. Throws CommandError. */
export async function answerSiteRequest(
  { mesh, limits }: { readonly mesh: MeshNode; readonly limits: SiteLimits },
  request: SiteRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<SitesReport | SiteTestReport> {
  switch (request.command) {
    case 'site-list':
      return sitesReport(mesh)
    case 'site-limit':
      await limit(mesh, limits, request)
      return sitesReport(mesh)
    case 'site-test':
      return await test(mesh, request, signal)
  }
}

function sitesReport(mesh: MeshNode): SitesReport {
  return { site: mesh.site, sites: mesh.siteLinks().map(siteLine) }
}

async function limit(
  mesh: MeshNode,
  limits: SiteLimits,
  { site, words }: Extract<SiteRequest, { readonly command: 'site-limit' }>,
): Promise<void> {
  if (site === mesh.site) throw usage(`${site} is the site of this node; limits are for others`)
  try {
    mesh.limitSite(site, await limits.set(site, words))
  } catch (error) {
    if (error instanceof InvalidSiteRuleError) throw usage(error.message)
    throw error
  }
}

async function test(
  mesh: MeshNode,
  { site, bytes }: Extract<SiteRequest, { readonly command: 'site-test' }>,
  signal: AbortSignal,
): Promise<SiteTestReport> {
  const result = await mesh.testSite(site, { bytes, signal }).catch((error: unknown) => {
    if (!(error instanceof PeerError)) throw error
    throw new CommandError(`the link to ${site}: ${error.message}`, {
      exitCode: exitCodes.degraded,
      cause: error,
    })
  })
  if (result !== undefined) return { site, ...result }
  throw new CommandError(`no member of site ${site} is connected`, {
    exitCode: exitCodes.unreachable,
  })
}

function usage(message: string): CommandError {
  return new CommandError(message, { exitCode: exitCodes.wrongUsage })
}

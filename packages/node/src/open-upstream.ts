import { join } from 'node:path'
import {
  Credentials,
  DirectReader,
  HttpFetcher,
  HttpUpstream,
  type ViaChain,
} from '@modmesh/goproxy'
import type { Lifecycle } from './lifecycle.ts'
import type { Surroundings } from './settings.ts'
import type { StartPlan } from './start-plan.ts'
import { userAgent } from './version.ts'

/** Opens what speaks HTTP to upstreams, with the user's credentials. */
export function openConnections(
  { settings: { caFile, goauth } }: StartPlan,
  {
    via,
    lifecycle,
    around: { env, home },
  }: {
    readonly via: ViaChain
    readonly lifecycle: Lifecycle
    readonly around: Surroundings
  },
): HttpFetcher {
  const credentials = lifecycle.add('credentials', new Credentials({ goauth, env, home }))
  return new HttpFetcher({ credentials, via }, { caFile, env, userAgent: userAgent() })
}

/** Opens what asks version control. Nothing is written or started before somebody asks for it. */
export function openDirect({ settings }: StartPlan, { env }: Surroundings): DirectReader {
  return new DirectReader({
    folder: join(settings.dir, 'direct', 'v1'),
    around: env,
    privatePaths: settings.private,
    caFile: settings.caFile,
  })
}

/** Opens the upstreams of the plan; with --offline none of them is asked. */
export function openUpstream(
  { noproxy, settings, upstream }: StartPlan,
  ways: { readonly http: HttpFetcher; readonly direct: DirectReader },
): HttpUpstream {
  const fetchTimeoutMs = settings.fetchTimeout * 1_000
  const { offline } = settings
  return new HttpUpstream(ways, { upstreams: upstream, noproxy, offline, fetchTimeoutMs })
}

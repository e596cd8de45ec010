import { join } from 'node:path'
import {
  CachedValidator,
  type FillEvent,
  type ModuleSource,
  PolicySource,
  type Upstream,
  type Validator,
  VersionTimes,
  type ZipStore,
} from '@modmesh/fill'
import { HttpValidator } from '@modmesh/goproxy'
import { machineClock } from '@modmesh/peers'
import { errorText } from './errors.ts'
import { FirstSeenFile } from './first-seen.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Logger } from './log.ts'
import type { StartPlan } from './start-plan.ts'
import { userAgent } from './version.ts'

interface PolicyParts {
  /** Who answers what is allowed. */
  readonly source: ModuleSource
  readonly store: ZipStore
  readonly upstream: Upstream
  readonly log: Logger
  readonly lifecycle: Lifecycle
  readonly onEvent: (event: FillEvent) => void
}

/** Puts the policy of the options before a source; without one, it is the source itself. */
export async function openPolicedSource(
  plan: StartPlan,
  parts: PolicyParts,
): Promise<ModuleSource> {
  const { policy: rules, minAge: minAgeMs } = plan.settings
  const validator = openValidator(plan, parts.lifecycle)
  if (rules.length === 0 && minAgeMs === 0 && validator === undefined) return parts.source
  const { source, onEvent } = parts
  const times = await openTimes(plan, parts)
  return new PolicySource(
    { source, times, validator, clock: machineClock },
    { policy: { rules, minAgeMs }, onEvent },
  )
}

async function openTimes(
  { settings }: StartPlan,
  { source, store, upstream, log, lifecycle }: PolicyParts,
): Promise<VersionTimes> {
  const onError = (error: unknown): void => {
    log.error({ reason: errorText(error) }, 'when versions were first seen cannot be written')
  }
  const path = join(settings.dir, 'policy', 'first-seen.jsonl')
  const firstSeen = lifecycle.add('first sights', await FirstSeenFile.open(path, { onError }))
  const times = new VersionTimes(
    { source, store, upstream, firstSeen, clock: machineClock },
    { fetchTimeoutMs: settings.fetchTimeout * 1_000 },
  )
  return lifecycle.add('times of versions', times)
}

function openValidator({ settings }: StartPlan, lifecycle: Lifecycle): Validator | undefined {
  const { validator: url, validatorFailure: failure, caFile } = settings
  if (url === undefined) return undefined
  const http = new HttpValidator({ url, caFile, userAgent: userAgent() })
  const validator = lifecycle.add('validator', http)
  return new CachedValidator({ validator, clock: machineClock }, { failure })
}

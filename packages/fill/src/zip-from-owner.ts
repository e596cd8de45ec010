import type { ModuleVersion, ZipHash } from '@modmesh/module'
import { asError, PeerError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import type { PeerId } from './peers.ts'
import { withRecord } from './relay.ts'
import {
  fetchFromPeer,
  isWrong,
  type Transfer,
  takeFromPeer,
  type VerifiedZip,
} from './zip-attempt.ts'

/**
 * Waits until the owner holds a zip, fetches it from there and verifies. Throws NobodyHasItError when
 * nothing came of it, StoreFailure.
 */
export async function fetchFromOwner(
  ctx: FillContext,
  job: {
    readonly module: ModuleVersion
    readonly zipHash: ZipHash
    readonly peer: PeerId
    /** How long the first byte may take once the owner has it. */
    readonly patienceMs: number
  } & Transfer,
  { signal }: { readonly signal: AbortSignal },
): Promise<VerifiedZip> {
  const { module, peer } = job
  const question = { what: 'zip', module } as const
  const verified = await withRecord(ctx, peer, question, signal, async ({ holdsZip }, bytes) => {
    if (!holdsZip && bytes === undefined) return undefined
    try {
      const { staged, zipHash } =
        bytes === undefined
          ? await fetchFromPeer(ctx, job, { signal })
          : await takeFromPeer(ctx, { ...job, bytes }, { signal })
      const source = { kind: 'peer', peer, via: 'owner' } as const
      return { staged, zipHash, source }
    } catch (error) {
      const isLie = isWrong(error) || (error instanceof PeerError && error.fault === 'protocol')
      if (isLie && !signal.aborted) ctx.blame(peer, module, asError(error).message)
      throw error
    }
  })
  if (verified === undefined) throw new NobodyHasItError()
  return verified
}

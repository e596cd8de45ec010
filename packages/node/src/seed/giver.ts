import type { Clock, PeerId } from '@modmesh/fill'
import type { MeshNode } from '@modmesh/peers'
import { CommandError, UsageError } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { printableName } from '../printable.ts'

/** The member that a site is filled from. */
export interface Giver {
  readonly peer: PeerId
  readonly name: string
  readonly site: string
}

/** Between two looks whether the giver is connected. Milliseconds. */
export const lookMs = 250

/**
 * Finds the member of a name or peer id, once it is connected: one that was seen before is waited for. Throws
 * CommandError: 24 when it is not connected by then, 20 when nothing may cross to its site, 2 when it is nobody else.
 */
export async function findGiver(
  { mesh, clock }: { readonly mesh: MeshNode; readonly clock: Clock },
  from: string,
  {
    signal,
    onWait,
    endMs,
  }: { readonly signal: AbortSignal; readonly onWait: () => void; readonly endMs: number },
): Promise<Giver> {
  const isMeant = ({ peer, name }: Giver): boolean => peer === from || name === from
  for (;;) {
    const meant = mesh.members.list().filter((member) => isMeant(member) && !member.refusal)
    const others = meant.filter(({ isSelf }) => !isSelf)
    if (meant.length > 0 && others.length === 0) {
      throw new UsageError(`${from} is this node itself; name the member that is to give`)
    }
    const connected = mesh.peers().filter((peer) => peer.isConnected && isMeant(peer))
    throwIfSeveral(connected, from)
    const found: Giver | undefined = connected[0] ?? others[0]
    if (found !== undefined) throwIfShut(mesh, found.site)
    if (connected[0] !== undefined) return connected[0]
    if (others.length === 0 || clock.monotonicMs() >= endMs) throw notConnected(from)
    onWait()
    await clock.sleep(lookMs, { signal })
  }
}

function throwIfSeveral(connected: readonly Giver[], name: string): void {
  if (connected.length < 2) return
  const ids = connected.map(({ peer, site }) => `${peer} (site ${printableName(site)})`)
  throw new UsageError(
    `${connected.length} members are called ${name}: name one by ${ids.join(', ')}`,
  )
}

function throwIfShut(mesh: MeshNode, site: string): void {
  const mode = mesh.siteLinks().find((link) => link.site === site)?.terms.mode
  if (site === mesh.site || mode === undefined || mode === 'open') return
  const name = printableName(site)
  throw new CommandError(
    `the link to site ${name} is ${mode}; to seed over it: modmesh site limit ${name} open`,
    { exitCode: exitCodes.degraded },
  )
}

function notConnected(from: string): CommandError {
  return new CommandError(`no member ${from} is connected; see: modmesh peers`, {
    exitCode: exitCodes.unreachable,
  })
}

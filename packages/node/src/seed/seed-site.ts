import { type OwnerQuestion, ownerKey, PeerError, type PeerId, rankOwners } from '@modmesh/fill'
import type { ModuleVersion, ZipHash } from '@modmesh/module'

/** Something that a site is to hold: a zip with what belongs to it, or a go.mod alone. */
export interface SeedItem {
  readonly module: ModuleVersion
  /** As the giver says; undefined for a go.mod alone. */
  readonly zipHash: ZipHash | undefined
}

/** The members of the site, as the node that seeds it sees them. */
export interface SeedSite {
  /** This node. */
  readonly self: PeerId
  /** The others that are connected now. */
  others(): readonly PeerId[]
  /** Whether a member holds it, as far as is known without asking. */
  holds(member: PeerId, item: SeedItem): Promise<boolean>
  /** Has a member bring it. Throws what went wrong. */
  bring(
    member: PeerId,
    question: OwnerQuestion,
    options: { readonly signal: AbortSignal },
  ): Promise<void>
}

/** Which members are to hold an item, the first one brings it: every node sees the same. All in order without `replicas`. */
export function takersOf(
  item: SeedItem,
  members: Iterable<PeerId>,
  replicas?: number,
): readonly PeerId[] {
  return rankOwners(ownerKey(item.module), members).slice(0, replicas)
}

/** All members that are connected now. */
export function membersOf(site: SeedSite): readonly PeerId[] {
  return [site.self, ...site.others()]
}

/** Members that hold an item now. */
export async function holdersOf(site: SeedSite, item: SeedItem): Promise<readonly PeerId[]> {
  const members = membersOf(site)
  const holds = await Promise.all(members.map((member) => site.holds(member, item)))
  return members.filter((_, at) => holds[at])
}

/** Has a member bring an item, with its go.mod, `.info` and record. Throws what went wrong with the first. */
export async function bringItem(
  site: SeedSite,
  member: PeerId,
  { module, zipHash }: SeedItem,
  options: { readonly signal: AbortSignal },
): Promise<void> {
  if (zipHash === undefined) return await site.bring(member, { what: 'mod', module }, options)
  await site.bring(member, { what: 'zip', module }, options)
  // What is not there is asked for when `go` wants it.
  await site.bring(member, { what: 'info', module }, options).catch(throwIfAborted(options.signal))
}

/** Says in a few words why an item could not be brought. */
export function whyNot(error: unknown): string {
  if (error instanceof PeerError) return error.message
  return error instanceof Error ? (error.message.split('\n', 1)[0] ?? '') : 'failed'
}

function throwIfAborted(signal: AbortSignal): () => void {
  return () => signal.throwIfAborted()
}

import type { MemberStatus, MeshNode, PeerTarget } from '@modmesh/peers'
import { toIsoOrNull } from './iso-time.ts'
import { peerLine } from './peer-line.ts'
import { printableName } from './printable.ts'
import { standingOf } from './standing.ts'
import type { PeerLine } from './status.ts'
import { type UploadLine, uploadLine } from './upload-line.ts'

/** One member as `peers` shows it. Absent is null, times are ISO 8601. */
export interface PeerEntry extends PeerLine {
  /** `member`, `provisional`, or why it is refused: `revoked`, `expired`, …; null when unknown. */
  readonly standing: string | null
  readonly lastSeenAt: string | null
  /** Why it is not connected, as far as this node knows. */
  readonly notConnected: string | null
}

/** An address that was given to this node and does not lead to a connected member. */
export interface UnreachedLine {
  readonly target: string
  readonly failures: number
  readonly reason: string | null
}

/** What `peers` is answered with. */
export interface PeersReport {
  readonly mesh: string | null
  readonly self: { readonly id: string; readonly site: string } | null
  readonly peers: readonly PeerEntry[]
  /** What this node gives; null before there is a mesh node. */
  readonly uploads: UploadLine | null
  readonly unreached: readonly UnreachedLine[]
}

/** Tells who is in the mesh and how this node stands with each. */
export function peersReport(mesh: MeshNode | undefined): PeersReport {
  if (mesh === undefined) return { mesh: null, self: null, peers: [], uploads: null, unreached: [] }
  const targets = mesh.targets()
  const members = new Map(mesh.members.list().map((member) => [member.peer, member]))
  const lines = new Map(mesh.peers().map((peer) => [peer.peer, peerLine(peer)]))
  for (const [id, member] of members) {
    if (!member.isSelf && !lines.has(id)) lines.set(id, lineOf(member))
  }
  const peers = [...lines].map(([id, line]) => entryOf(line, members.get(id), targets))
  return {
    mesh: mesh.meshId() ?? null,
    self: { id: mesh.peerId, site: mesh.site },
    peers: peers.toSorted(connectedFirst),
    uploads: uploadLine(mesh),
    unreached: targets.filter((target) => isUnreached(target, lines)).map(unreachedLine),
  }
}

function entryOf(
  line: PeerLine,
  member: MemberStatus | undefined,
  targets: readonly PeerTarget[],
): PeerEntry {
  return {
    ...line,
    standing: member === undefined ? null : standingOf(member),
    lastSeenAt: toIsoOrNull(member?.lastSeenMs),
    notConnected: line.connected ? null : (line.incompatible ?? whyNot(line.id, member, targets)),
  }
}

/** A member that is not connected, and did nothing to be remembered for. */
function lineOf({ peer, name, site }: MemberStatus): PeerLine {
  return {
    id: peer,
    name,
    site,
    connected: false,
    connectedSince: null,
    rttMs: null,
    holds: null,
    receivedBytes: 0,
    sentBytes: 0,
    blamed: null,
    trouble: null,
    incompatible: null,
  }
}

function whyNot(
  id: string,
  member: MemberStatus | undefined,
  targets: readonly PeerTarget[],
): string {
  if (member?.refusal !== undefined) return member.refusal
  const own = targets.filter(({ peer }) => peer === id)
  if (own.length === 0) return 'not dialled: no address of it is known'
  const failed = own.find(({ lastError }) => lastError !== undefined)
  if (failed?.lastError !== undefined) return printableName(failed.lastError)
  return own.some(({ isWaiting }) => isWaiting)
    ? 'not dialled: enough connections'
    : 'being dialled'
}

function isUnreached(
  { origin, connected, peer }: PeerTarget,
  known: ReadonlyMap<string, PeerLine>,
): boolean {
  const isGiven = origin === 'configured' || origin === 'ticket'
  return isGiven && !connected && (peer === undefined || !known.has(peer))
}

function unreachedLine({ target, failures, lastError }: PeerTarget): UnreachedLine {
  const reason = lastError === undefined ? null : printableName(lastError)
  return { target: printableName(target), failures, reason }
}

function connectedFirst(a: PeerEntry, b: PeerEntry): number {
  if (a.connected !== b.connected) return a.connected ? -1 : 1
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0
}

import type { MemberStatus, MeshNode } from '@modmesh/peers'
import type { MeshRequest } from './control-socket/requests.ts'
import { CommandError, errorCode, errorText } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import { newIdentity, replaceIdentity } from './identity.ts'
import { toIso, toIsoOrNull } from './iso-time.ts'
import { standingOf } from './standing.ts'

/** The life of a ticket when nobody says otherwise. Milliseconds. */
const defaultInviteMs = 24 * 3_600_000
/** How long `join` waits for the first member. Milliseconds. */
const firstMemberMs = 5_000
/** Between two looks for it. Milliseconds. */
const lookMs = 50

/** What `invite` is answered with. Times are ISO 8601. */
export interface Invitation {
  readonly ticket: string
  readonly mesh: string
  /** By which it can be revoked. */
  readonly invite: string
  readonly site: string | null
  readonly roles: readonly string[]
  readonly uses: number | null
  readonly expiresAt: string
}

/** One member as `members` shows it. Times are ISO 8601, absent ones null. */
export interface MemberLine {
  readonly peer: string
  readonly name: string
  readonly site: string
  readonly roles: readonly string[]
  readonly self: boolean
  readonly connected: boolean
  /** `member`, `provisional`, or why it is refused: `revoked`, `expired`, … */
  readonly standing: string
  readonly admittedAt: string | null
  readonly expiresAt: string | null
  readonly lastSeenAt: string | null
  readonly invite: string
}

/** What `members` is answered with. */
export interface MembersReport {
  readonly mesh: string | null
  /** Whether this node holds the root key. */
  readonly root: boolean
  readonly members: readonly MemberLine[]
}

/** What `join` is answered with. */
export interface JoinReport {
  readonly mesh: string
  readonly site: string
  /** Names of connected members. */
  readonly connected: readonly string[]
}

/** What `revoke` is answered with; absent is null. */
export interface RevokeReport {
  readonly peer: string | null
  readonly name: string | null
  /** The invite that admits no new keys any more. */
  readonly invite: string | null
}

/** What the user asked for cannot be meant so. */
const usageCodes = new Set([
  'INVALID_TICKET',
  'INVALID_ROOT_KEY',
  'INVALID_MEMBERSHIP_OPTION',
  'UNKNOWN_MEMBER',
])

/** Whether a request is about the mesh. */
export function isMeshRequest(request: { readonly command: string }): request is MeshRequest {
  return meshCommands.has(request.command)
}

const meshCommands = new Set<string>([
  'invite',
  'join',
  'members',
  'revoke',
  'leave',
  'rekey',
  'root-export',
  'root-import',
  'root-grant',
  'root-rotate',
] satisfies MeshRequest['command'][])

/** Does what a client asks about the mesh. Throws CommandError. */
export async function answerMeshRequest(
  mesh: MeshNode,
  request: MeshRequest,
  options: { readonly dir: string; readonly signal: AbortSignal },
): Promise<unknown> {
  try {
    return await answer(mesh, request, options)
  } catch (error) {
    const code = errorCode(error)
    if (error instanceof CommandError || code === undefined || !usageCodes.has(code)) throw error
    throw new CommandError(errorText(error), { exitCode: exitCodes.wrongUsage, cause: error })
  }
}

async function answer(
  mesh: MeshNode,
  request: MeshRequest,
  options: { readonly dir: string; readonly signal: AbortSignal },
): Promise<unknown> {
  const { members } = mesh
  switch (request.command) {
    case 'invite':
      return await invite(mesh, request)
    case 'join':
      await mesh.join(request.ticket)
      return await joinReport(mesh, options)
    case 'members':
      return membersReport(mesh)
    case 'revoke': {
      const revoked = await members.revoke(request.target, { why: request.why })
      const { peer = null, invite: serial = null, name = null } = revoked
      return { peer, name, invite: serial } satisfies RevokeReport
    }
    case 'leave': {
      const left = mesh.meshId() ?? null
      await members.leave({ forgetRoot: request.forgetRoot })
      return { mesh: left }
    }
    case 'rekey':
      return await rekey(mesh, options.dir)
    case 'root-export':
      return { mesh: mesh.meshId() ?? null, key: members.exportRoot() }
    case 'root-import':
      await members.importRoot(request.key)
      return { mesh: mesh.meshId() ?? null }
    case 'root-grant':
      return memberLine(await members.grant(request.target))
    case 'root-rotate':
      return { mesh: mesh.meshId() ?? null, ...(await members.rotateRoot()) }
  }
}

async function invite(
  mesh: MeshNode,
  request: Extract<MeshRequest, { readonly command: 'invite' }>,
): Promise<Invitation> {
  const { site, roles = [], uses, expiresMs = defaultInviteMs } = request
  const made = await mesh.members.invite({ site, roles, uses, expiresMs })
  return {
    ticket: made.ticket,
    mesh: mesh.meshId() ?? '',
    invite: made.invite,
    site: site ?? null,
    roles,
    uses: uses ?? null,
    expiresAt: toIso(made.expiresMs),
  }
}

/** The order matters: with the new key in place, the next start needs the membership that fits it. */
async function rekey(mesh: MeshNode, dir: string): Promise<{ readonly mesh: string | null }> {
  const key = newIdentity()
  await mesh.members.changeKey(key)
  await replaceIdentity(dir, key)
  return { mesh: mesh.meshId() ?? null }
}

async function joinReport(
  mesh: MeshNode,
  { signal }: { readonly signal: AbortSignal },
): Promise<JoinReport> {
  const names = (): string[] =>
    mesh.peers().flatMap(({ name, isConnected }) => (isConnected ? [name] : []))
  const end = AbortSignal.any([signal, AbortSignal.timeout(firstMemberMs)])
  while (names().length === 0 && !end.aborted) await pause(end)
  return { mesh: mesh.meshId() ?? '', site: mesh.site, connected: names() }
}

/** Never rejects. */
function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, lookMs)
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true })
  })
}

function membersReport(mesh: MeshNode): MembersReport {
  return {
    mesh: mesh.meshId() ?? null,
    root: mesh.members.holdsRoot(),
    members: mesh.members.list().map(memberLine),
  }
}

function memberLine(member: MemberStatus): MemberLine {
  const { peer, name, site, roles, invite: serial } = member
  return {
    peer,
    name,
    site,
    roles,
    self: member.isSelf,
    connected: member.isConnected,
    standing: standingOf(member),
    admittedAt: toIsoOrNull(member.admittedMs),
    expiresAt: toIsoOrNull(member.expiresMs),
    lastSeenAt: toIsoOrNull(member.lastSeenMs),
    invite: serial,
  }
}

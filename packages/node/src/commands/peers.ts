import { formatBytes } from '../byte-size.ts'
import { askNode } from '../control-socket/client.ts'
import { formatDuration } from '../duration.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { printJson } from '../mesh-command.ts'
import type { PeerEntry, PeersReport, UnreachedLine } from '../peers-report.ts'
import { printableName } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { uploadText } from '../upload-text.ts'

/** A node under full load still answers in this time. Milliseconds. */
const answerTimeoutMs = 10_000

const heading = ['NAME', 'SITE', 'STATE', 'RTT', 'HOLDS', 'GAVE', 'TOOK', 'PEER ID']

/** `modmesh peers`: who is in the mesh and how this node stands with each; 20 when nobody of a mesh is connected. */
export async function peers(
  flags: FlagTexts & { readonly json?: true },
  around: Surroundings,
): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  const signal = AbortSignal.timeout(answerTimeoutMs)
  const report = (await askNode(dir, { command: 'peers' }, { signal })) as PeersReport
  if (flags.json) printJson('modmesh.peers/1', report)
  else process.stdout.write(formatPeers(report, Date.now()))
  const expected = report.peers.length + report.unreached.length
  const isCut = expected > 0 && !report.peers.some(({ connected }) => connected)
  return isCut ? exitCodes.degraded : exitCodes.done
}

/** Writes the report as a table, with a line below each peer that needs one. */
export function formatPeers(report: PeersReport, nowMs: number): string {
  const { mesh, peers: list, unreached } = report
  if (mesh === null) return 'This node is in no mesh. To make one: modmesh invite\n'
  if (list.length + unreached.length === 0) return 'Nobody else is known in this mesh.\n'
  const rows = [heading, ...list.map((peer) => row(peer, nowMs))]
  const widths = heading.map((_, at) => Math.max(...rows.map((cells) => cells[at]?.length ?? 0)))
  const [head = '', ...lines] = rows.map((cells) => aligned(cells, widths))
  const blocks = list.map((peer, at) => [lines[at] ?? '', ...remarks(peer, nowMs)])
  const uploads = report.uploads === null ? undefined : uploadText(report.uploads)
  const foot = uploads === undefined ? [] : ['', `uploads: ${uploads}`]
  return `${[head, ...blocks.flat(), ...unreached.map(unreachedText), ...foot].join('\n')}\n`
}

function aligned(cells: readonly string[], widths: readonly number[]): string {
  return cells
    .map((cell, at) => cell.padEnd(widths[at] ?? 0))
    .join('  ')
    .trimEnd()
}

function row(peer: PeerEntry, nowMs: number): string[] {
  return [
    printableName(peer.name) || '-',
    printableName(peer.site),
    state(peer, nowMs),
    peer.rttMs === null
      ? '-'
      : `${peer.rttMs < 10 ? peer.rttMs.toFixed(1) : Math.round(peer.rttMs)} ms`,
    peer.holds === null ? '-' : String(peer.holds),
    formatBytes(peer.receivedBytes),
    formatBytes(peer.sentBytes),
    peer.id,
  ]
}

function state(peer: PeerEntry, nowMs: number): string {
  if (peer.connected) return peer.blamed?.avoided ? 'avoided' : 'connected'
  if (peer.lastSeenAt === null) return 'never seen'
  return `seen ${formatDuration(nowMs - Date.parse(peer.lastSeenAt))} ago`
}

function remarks({ blamed, trouble, notConnected }: PeerEntry, nowMs: number): string[] {
  const lines: string[] = []
  if (notConnected !== null) lines.push(`    not connected: ${notConnected}`)
  if (trouble !== null) {
    const when = formatDuration(nowMs - Date.parse(trouble.at))
    lines.push(`    last fetch failed ${when} ago: ${printableName(trouble.reason)}`)
  }
  if (blamed === null) return lines
  const when = formatDuration(nowMs - Date.parse(blamed.at))
  const often = blamed.count > 1 ? `, ${blamed.count} times` : ''
  const now = blamed.avoided ? '; asked for nothing now' : ''
  return [...lines, `    blamed ${when} ago${often}: ${printableName(blamed.reason)}${now}`]
}

function unreachedText({ target, failures, reason }: UnreachedLine): string {
  const tries = failures === 0 ? '' : ` (${failures} ${failures === 1 ? 'try' : 'tries'})`
  return `${target}: not reached${tries}${reason === null ? '' : `: ${reason}`}`
}

import { styleText } from 'node:util'
import { formatBytes } from './byte-size.ts'
import { changedText } from './changed-text.ts'
import { formatDuration } from './duration.ts'
import { escapeInvisible, printableName } from './printable.ts'
import { siteLinkText } from './site-link-text.ts'
import type { PeerLine, RunningStatus, Status, StoppedStatus, StoreStatus } from './status.ts'
import { type CountBySource, type SiteCounts, type SourceKind, sourceKinds } from './traffic.ts'
import { uploadText } from './upload-text.ts'

/** How status is written for people: the time, and whether the terminal takes colour. */
export interface TextOptions {
  readonly nowMs: number
  readonly colour: boolean
}

/** Peers shown before the rest is only counted. */
const shownPeers = 12
const shownRefusals = 3
const shownChanged = 5
const shownPublishers = 3

/** Writes a status for people. Colour only repeats what a word says. */
export function formatStatus(status: Status, options: TextOptions): string {
  const lines = status.running ? runningLines(status, options) : stoppedLines(status, options)
  return `${lines.join('\n')}\n`
}

function stoppedLines(status: StoppedStatus, { colour }: TextOptions): string[] {
  const lines = [`modmesh  ${paint(colour, 'red', 'NOT RUNNING')}`, escapeInvisible(status.message)]
  if (status.store !== null) lines.push(field('Store', storeText(status.store)))
  return lines
}

function runningLines(status: RunningStatus, options: TextOptions): string[] {
  return [
    headLine(status, options),
    field('GOPROXY', `${status.proxy.url ?? 'not bound yet'}   ${lastAnswerText(status, options)}`),
    field('Mesh', meshText(status)),
    ...peerLines(status, options),
    ...uploadLines(status),
    ...siteLinkLines(status),
    field('Upstream', upstreamText(status, options)),
    field('Checksums', checksumText(status)),
    ...remoteLines(status),
    field('Last hour', countText(status.answers.lastHour)),
    field('All', countText(status.answers.sinceStart)),
    ...levelLines(status.answers),
    ...siteLines(status.siteFetches),
    ...privateLines(status),
    field('Store', storeText(status.store)),
    ...status.warnings.map((text) => `! ${escapeInvisible(text)}`),
    ...changedLines(status, options),
    ...refusalLines(status, options),
  ]
}

const stateColours = {
  ready: 'green',
  starting: 'yellow',
  degraded: 'yellow',
  stopping: 'yellow',
} as const

function headLine(status: RunningStatus, { colour }: TextOptions): string {
  const up = formatDuration(status.uptimeSeconds * 1_000)
  const left = [
    `modmesh ${status.version}`,
    `site ${printableName(status.site)}`,
    `${peerName(status.name, status.mesh.peerId ?? '')}`,
    `up ${up}`,
  ].join('  ')
  return `${left}   ${paint(colour, stateColours[status.state], status.state.toUpperCase())}`
}

function lastAnswerText(status: RunningStatus, options: TextOptions): string {
  const at = status.proxy.lastAnswerAt
  return at === null ? 'nothing answered yet' : `last answer ${ago(at, options)}`
}

function meshText(status: RunningStatus): string {
  const { id, peers } = status.mesh
  if (id === null) return 'none; `modmesh invite` makes one'
  const connected = peers.filter((peer) => peer.connected).length
  return `${printableName(id)}   ${connected} ${plural(connected, 'peer')} connected`
}

function peerLines(status: RunningStatus, options: TextOptions): string[] {
  const peers = status.mesh.peers
  const lines = peers.slice(0, shownPeers).map((peer) => field('', peerText(peer, options)))
  const hidden = peers.length - lines.length
  return hidden > 0 ? [...lines, field('', `and ${hidden} more (--json shows all)`)] : lines
}

function uploadLines({ mesh }: RunningStatus): string[] {
  const text = mesh.uploads === null ? undefined : uploadText(mesh.uploads)
  return text === undefined ? [] : [field('Uploads', text)]
}

function siteLinkLines({ mesh }: RunningStatus): string[] {
  return mesh.sites.map((link, at) => field(at === 0 ? 'Sites' : '', siteLinkText(link)))
}

function peerText(peer: PeerLine, options: TextOptions): string {
  const parts = [
    peerName(peer.name, peer.id),
    `site ${printableName(peer.site)}`,
    peer.connected ? connectionText(peer) : 'not connected',
    peer.holds === null ? '' : `holds ${formatNumber(peer.holds)} ${plural(peer.holds, 'zip')}`,
    peer.receivedBytes > 0 ? `gave ${formatBytes(peer.receivedBytes)}` : '',
    peer.sentBytes > 0 ? `took ${formatBytes(peer.sentBytes)}` : '',
    peer.blamed === null ? '' : blameText(peer.blamed, options),
    peer.incompatible === null ? '' : paint(options.colour, 'red', peer.incompatible),
  ]
  return parts.filter((part) => part !== '').join('  ')
}

function connectionText({ rttMs }: PeerLine): string {
  if (rttMs === null) return 'connected'
  return `${rttMs < 10 ? rttMs.toFixed(1) : formatNumber(Math.round(rttMs))} ms`
}

function blameText(blamed: NonNullable<PeerLine['blamed']>, options: TextOptions): string {
  const word = blamed.avoided ? 'avoided' : 'blamed'
  const text = `${word} ${ago(blamed.at, options)}: ${printableName(blamed.reason)}`
  return paint(options.colour, 'red', text)
}

function upstreamText(status: RunningStatus, options: TextOptions): string {
  const { state, list, lastAskedAt, lastOk, lastError } = status.upstream
  if (state === 'offline') return 'not asked (--offline)'
  if (state === 'off') return 'off'
  if (lastAskedAt === null) return `${list}   not asked yet`
  const outcome = lastOk ? 'ok' : `failed: ${printableName(lastError ?? '')}`
  return `${list}   ${outcome}, ${ago(lastAskedAt, options)}`
}

function checksumText(status: RunningStatus): string {
  const { name, treeSize, forked, refusedAnswers } = status.checksumDatabase
  if (name === null) return 'off: zips are taken at upstream’s word and not given to peers'
  const notes: string[] = []
  if (forked) notes.push('FORKED')
  if (refusedAnswers > 0) notes.push(`${formatNumber(refusedAnswers)} wrong answers refused`)
  const proven =
    treeSize === null ? 'nothing proven yet' : `tree of ${formatNumber(treeSize)} records`
  return `${name}   ${[proven, ...notes].join(', ')}`
}

function remoteLines({ remote }: RunningStatus): string[] {
  if (remote === null) return []
  const { access, state, writes, readError, writeError } = remote
  const counts = `${formatNumber(writes.written)} ${plural(writes.written, 'object')} written`
  const lost = writes.failed + writes.dropped
  const parts = [
    access === 'read' ? 'only read' : counts,
    lost > 0 ? `${formatNumber(lost)} not` : '',
    state === 'down' ? 'DOWN' : '',
  ]
  const line = `${printableName(remote.url)}   ${parts.filter((part) => part !== '').join(', ')}`
  const errors = [
    ...(readError === null ? [] : [`cannot be read: ${printableName(readError)}`]),
    ...(writeError === null ? [] : [`cannot be written: ${printableName(writeError)}`]),
  ]
  return [field('Remote', line), ...errors.map((text) => field('', text))]
}

const sourceWords: Readonly<Record<SourceKind, string>> = {
  store: 'store',
  peer: 'peers',
  remote: 'remote',
  upstream: 'upstream',
  direct: 'version control',
  held: 'held lists',
  stale: 'older lists',
}

const levelKinds = ['memory', 'disk', ...sourceKinds.filter((kind) => kind !== 'store')] as const

const levelWords = { ...sourceWords, memory: 'memory', disk: 'disk' } as const

function countText(counts: CountBySource): string {
  const answers = sourceKinds.reduce((sum, kind) => sum + counts[kind].answers, 0)
  if (answers === 0) return 'no answers'
  const bytes = sourceKinds.reduce((sum, kind) => sum + counts[kind].bytes, 0)
  const shares = sourceKinds
    .filter((kind) => counts[kind].answers > 0)
    .map((kind) => {
      const { answers, bytes } = counts[kind]
      return `${sourceWords[kind]} ${formatNumber(answers)} (${formatBytes(bytes)})`
    })
  const total = `${formatNumber(answers)} ${plural(answers, 'answer')}, ${formatBytes(bytes)}`
  return `${total}: ${shares.join(', ')}`
}

/** Where the answers of `All` were found, and what was not. */
function levelLines({ levels, failed }: RunningStatus['answers']): string[] {
  const found = levelKinds
    .filter((level) => levels[level] > 0)
    .map((level) => `${levelWords[level]} ${formatNumber(levels[level])}`)
  if (found.length === 0 && failed === 0) return []
  const known = levels.negative > 0 ? ` (${formatNumber(levels.negative)} known before)` : ''
  const missed = failed > 0 ? [`not answered ${formatNumber(failed)}${known}`] : []
  return [field('Levels', [...found, ...missed].join(', '))]
}

/** One fetch per site: what others fetched for us, what we fetched for them, and what went wrong between us. */
function siteLines({ asked, answered }: SiteCounts): string[] {
  const { answered: got, nothing, ...trouble } = asked
  const helped = Object.values(trouble).reduce((sum, count) => sum + count, 0)
  const reasons = Object.entries(trouble).filter(([, count]) => count > 0)
  const why = reasons.map(([name, count]) => `${name} ${formatNumber(count)}`).join(', ')
  const parts = [
    got > 0 ? `owners answered ${formatNumber(got)}` : '',
    nothing > 0 ? `knew nothing of ${formatNumber(nothing)}` : '',
    helped > 0 ? `were of no help ${formatNumber(helped)} (${why})` : '',
    answered.answered > 0 ? `we answered ${formatNumber(answered.answered)} for others` : '',
  ].filter((part) => part !== '')
  return parts.length === 0 ? [] : [field('Site', parts.join(', '))]
}

/** Whether private modules are shared, and who vouches for those that are. */
function privateLines({ privateModules, mesh }: RunningStatus): string[] {
  const { shared, role, published, publishers } = privateModules
  if (!shared) return []
  const who = role === null ? 'this node has no role for them' : `this node is ${roleWords[role]}`
  const by = publishers.slice(0, shownPublishers).map(printableName).join(', ')
  const count = `${formatNumber(published)} ${plural(published, 'version')} published`
  const what = published === 0 ? '' : `; ${count} by ${by}`
  return [field('Private', `${mesh.id === null ? 'no mesh to share them with' : who}${what}`)]
}

const roleWords = { publisher: 'a publisher', private: 'given them' } as const

function storeText(store: StoreStatus): string {
  const zips = `${formatNumber(store.zips)} ${plural(store.zips, 'zip')}`
  const { maxBytes = null, pinnedZips = 0 } = store.budget ?? {}
  const size = maxBytes === null ? '' : ` of at most ${formatBytes(maxBytes)}`
  const pinned = pinnedZips === 0 ? '' : `, ${formatNumber(pinnedZips)} pinned`
  return `${formatBytes(store.zipBytes)}${size} in ${zips}, ${formatNumber(store.mods)} go.mod${pinned}`
}

function changedLines({ changed }: RunningStatus, { nowMs }: TextOptions): string[] {
  const lines = changed.slice(0, shownChanged).flatMap((line) => {
    const [what = '', ...hashes] = changedText(line, nowMs)
    const answer = `  refused; to take the new one: ${printableName(line.accept)}`
    return [`! ${line.status} ${what}`, ...hashes, answer]
  })
  const hidden = changed.length - shownChanged
  return hidden > 0 ? [...lines, `! and ${hidden} more: modmesh accept lists them`] : lines
}

function refusalLines(status: RunningStatus, options: TextOptions): string[] {
  const { total, latest } = status.refused
  if (total === 0) return []
  const shown = latest.slice(0, shownRefusals).map((refusal) => {
    const who = refusal.peer === null ? refusal.source : peerName(refusal.peerName, refusal.peer)
    const what = `${printableName(refusal.module)}: ${printableName(refusal.reason)}`
    return `  ${who}, ${ago(refusal.at, options)}: ${what}`
  })
  return [`! ${formatNumber(total)} ${plural(total, 'answer')} refused, not passed on:`, ...shown]
}

function peerName(name: string | null, id: string): string {
  return name === null ? shortId(id) : `${printableName(name)} (${shortId(id)})`
}

function field(label: string, text: string): string {
  return `${label.padEnd(10)} ${text}`
}

function shortId(id: string): string {
  return id.length <= 12 ? id : `${id.slice(0, 4)}…${id.slice(-6)}`
}

function ago(iso: string, { nowMs }: TextOptions): string {
  return `${formatDuration(nowMs - Date.parse(iso))} ago`
}

/** A word in the number that a count asks for. */
export function plural(count: number, word: string): string {
  return count === 1 ? word : `${word}s`
}

function formatNumber(value: number): string {
  return value.toLocaleString('en-US')
}

type Colour = 'red' | 'green' | 'yellow'

function paint(colour: boolean, name: Colour, text: string): string {
  return colour ? styleText(name, text, { validateStream: false }) : text
}

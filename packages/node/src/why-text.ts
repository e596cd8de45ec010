import type { UpstreamReason } from '@modmesh/fill'
import { formatBytes } from './byte-size.ts'
import { formatDuration } from './duration.ts'
import type { TraceStep } from './fill-trace.ts'
import { printableName } from './printable.ts'
import type { WhyReport } from './why-report.ts'

/** Writes a report for people: what is held, what comes next, and what happened, the oldest first. */
export function formatWhy(report: WhyReport, nowMs: number): string[] {
  const { trace } = report
  const lines = [
    report.module,
    ...heldLines(report),
    `next       ${nextText(report)}`,
    ...holderLines(report),
  ]
  if (trace === null) {
    const since = formatDuration(nowMs - Date.parse(report.since))
    return [...lines, `history    none: no fetch of it in this run (${since})`]
  }
  const steps = trace.steps.map((step) => `  ${stepText(step, report, nowMs)}`)
  const left =
    trace.dropped === 0 ? [] : [`  … and ${trace.dropped} between the first and the last`]
  return [...lines, 'history', ...steps, ...left, ...hitLines(report, nowMs)]
}

function heldLines(report: WhyReport): string[] {
  const { held, expected, private: isPrivate, published } = report
  const lines: string[] = []
  if (isPrivate) lines.push(`private    ${privateText(report)}`)
  if (published !== null) {
    const by = `${printableName(published.publisher)} (${printableName(published.peer)})`
    lines.push(`published  by ${by}, ${published.at}`)
  }
  if (held !== null) {
    lines.push(`held       ${formatBytes(held.bytes)}, ${held.h1}`)
    lines.push(`           sha256 ${held.sha256}`, `proof      ${printableName(held.proof)}`)
  } else {
    lines.push('held       no')
    if (expected !== null) {
      lines.push(`must be    ${expected.h1 ?? expected.mod} by ${printableName(expected.proof)}`)
    }
  }
  return lines
}

function privateText({ shared }: WhyReport): string {
  return shared
    ? 'only members with the role are asked, never the checksum database'
    : 'peers and the checksum database are never asked'
}

function nextText({ next, connectedPeers, shared }: WhyReport): string {
  if (next === 'mesh' && shared) return 'members with the role, then upstream where there is one'
  switch (next) {
    case 'store':
      return 'from the store of this node'
    case 'peer':
      return 'from a peer that has it'
    case 'mesh':
      return `${counted(connectedPeers, 'connected peer')}, then the rest of the mesh; no upstream to ask`
    case 'upstream':
      return connectedPeers === 0
        ? 'from upstream: no peer is connected'
        : `${counted(connectedPeers, 'connected peer')} for a moment, then upstream`
    case 'remote':
      return 'from the bucket: no peer is connected, and no upstream'
    case 'nobody':
      return 'nobody can be asked: no peer is connected, and no upstream'
  }
}

function holderLines(report: WhyReport): string[] {
  return report.holders.map(({ peer, rttMs }) => {
    const rtt = rttMs === null ? '' : `, ${duration(rttMs)} away`
    return `held by    ${nameOf(peer, report)}${rtt}`
  })
}

function hitLines({ trace }: WhyReport, nowMs: number): string[] {
  if (trace === null || trace.lastHitAt === null) return []
  const last = formatDuration(nowMs - Date.parse(trace.lastHitAt))
  return [`  then ${counted(trace.hits, 'answer')} from the store, the last ${last} ago`]
}

function stepText(step: TraceStep, report: WhyReport, nowMs: number): string {
  const when = `${formatDuration(nowMs - Date.parse(step.at))} ago`.padEnd(10)
  const what = (step.what ?? '').padEnd(4)
  return `${when} ${what}  ${wordsOf(step, report)}`
}

function wordsOf(step: TraceStep, report: WhyReport): string {
  const took = step.tookMs === null ? '' : ` in ${duration(step.tookMs)}`
  const who = step.peer === null ? (step.source ?? '') : nameOf(step.peer, report)
  const reason = step.reason === null ? '' : `: ${printableName(step.reason)}`
  switch (step.step) {
    case 'answered':
      return `answered${took}, ${sourceText(step, who)}`
    case 'failed':
      return `not answered${took}${reason}`
    case 'peers-told':
      return toldText(step, report, took)
    case 'asked':
      return `${who} ${outcomeText(step)}${took}${reason}`
    case 'owner-asked':
      return `asked ${who}, which asks upstream for this site: ${step.outcome}${took}`
    case 'for-site':
      return `${who} asked this node, for the site: ${step.outcome}${took}`
    case 'upstream-chosen':
      return `went to upstream: ${step.why === undefined ? '' : reasonWords[step.why]}`
    case 'refused':
      return `refused what ${who} gave${reason}`
    case 'kept':
      return 'verified and kept'
  }
}

function sourceText({ source, peer, reason, bytes }: TraceStep, who: string): string {
  const size = bytes === null ? '' : `${formatBytes(bytes)} `
  if (peer !== null) return `${size}from ${who}${reason === 'owner' ? ', which fetched it' : ''}`
  return `${size}from ${source}${reason === null ? '' : ` ${printableName(reason)}`}`
}

function toldText({ answers = [] }: TraceStep, report: WhyReport, took: string): string {
  if (answers.length === 0) return `peers asked${took}: none knows it`
  const names = answers.map(
    ({ peer, holdsZip }) => `${nameOf(peer, report)}${holdsZip ? '' : ' (without its zip)'}`,
  )
  return `peers asked${took}: known to ${names.join(', ')}`
}

function outcomeText({ outcome, bytes, changes }: TraceStep): string {
  if (outcome === 'gave' && changes !== undefined) {
    const form = changeWords.get(changes.form) ?? changes.form
    return `gave ${formatBytes(bytes ?? 0)} in ${formatBytes(changes.receivedBytes)}: ${form}`
  }
  if (outcome === 'gave') return `gave ${formatBytes(bytes ?? 0)}`
  if (outcome === 'unneeded') return 'was not needed any more'
  return bytes === null || bytes === 0 ? 'gave nothing' : `broke off at ${formatBytes(bytes)}`
}

const changeWords: ReadonlyMap<string, string> = new Map([
  ['P', 'patches of an older version (form P)'],
  ['S', 'missing files, packed together (form S)'],
  ['F', 'missing files, as in its zip (form F)'],
  ['none', 'no file was missing'],
  ['whole', 'as it is'],
])

const reasonWords: Readonly<Record<UpstreamReason, string>> = {
  private: 'private modules are not asked of peers',
  'not-published': 'no member with the role had it as a publisher signed it',
  'no-database':
    'no checksum database speaks for it, and what nobody can prove is not asked of peers',
  'no-peers': 'no peer was connected',
  'no-hash': 'nobody had told in time what it must hash to',
  'no-holder': 'no peer was known to have it',
  'upstream-first': 'upstream is asked before the sites that have it',
  'peers-late': 'peers had not answered in time',
  'peers-failed': 'the peers that have it did not deliver',
  'owner-failed': 'the peer that asks for this site did not deliver',
}

function nameOf(id: string, { peers }: WhyReport): string {
  const known = peers.find((peer) => peer.id === id)
  const short = id.length <= 12 ? id : `…${id.slice(-6)}`
  return known === undefined || known.name === ''
    ? short
    : `${printableName(known.name)} (${short})`
}

function duration(ms: number): string {
  if (ms < 10) return `${ms.toFixed(1)} ms`
  return ms < 10_000 ? `${Math.round(ms)} ms` : formatDuration(ms)
}

function counted(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

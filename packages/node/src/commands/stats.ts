import { formatBytes } from '../byte-size.ts'
import { askNode } from '../control-socket/client.ts'
import { formatDuration } from '../duration.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { printJson } from '../mesh-command.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import type { RunningStatus } from '../status.ts'
import { type CountBySource, type SourceKind, sourceKinds } from '../traffic.ts'

/** A node under full load still answers in this time. Milliseconds. */
const answerTimeoutMs = 10_000

/** What `stats` prints: numbers since the start of the node. */
interface Stats {
  readonly startedAt: string
  readonly uptimeSeconds: number
  readonly answers: number
  readonly bytes: number
  /** Bytes that came from this host or its mesh instead of upstream. */
  readonly savedBytes: number
  /** Of all answers: those that upstream was not asked for. */
  readonly savedShare: number
  readonly failed: number
  readonly refused: number
  readonly sources: RunningStatus['answers']['sinceStart']
  readonly lastHour: RunningStatus['answers']['lastHour']
  readonly levels: RunningStatus['answers']['levels']
  readonly siteFetches: RunningStatus['siteFetches']
  readonly peers: { readonly receivedBytes: number; readonly sentBytes: number }
  readonly store: RunningStatus['store']
}

/** `modmesh stats`: what was answered from where since the start of the node. */
export async function stats(
  flags: FlagTexts & { readonly json?: true },
  around: Surroundings,
): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  const signal = AbortSignal.timeout(answerTimeoutMs)
  const status = (await askNode(dir, { command: 'status' }, { signal })) as RunningStatus
  const counted = statsOf(status)
  if (flags.json) printJson('modmesh.stats/1', counted)
  else process.stdout.write(asText(counted))
  return exitCodes.done
}

/** Sources that are upstream's, or version control's, own. */
const outside: readonly SourceKind[] = ['upstream', 'direct']

function statsOf(status: RunningStatus): Stats {
  const { startedAt, uptimeSeconds, answers, refused, siteFetches, store, mesh } = status
  const all = sum(answers.sinceStart, sourceKinds)
  const own = sum(
    answers.sinceStart,
    sourceKinds.filter((kind) => !outside.includes(kind)),
  )
  return {
    startedAt,
    uptimeSeconds,
    ...all,
    savedBytes: own.bytes,
    savedShare: all.answers === 0 ? 0 : own.answers / all.answers,
    failed: answers.failed,
    refused: refused.total,
    sources: answers.sinceStart,
    lastHour: answers.lastHour,
    levels: answers.levels,
    siteFetches,
    peers: {
      receivedBytes: mesh.peers.reduce((bytes, peer) => bytes + peer.receivedBytes, 0),
      sentBytes: mesh.peers.reduce((bytes, peer) => bytes + peer.sentBytes, 0),
    },
    store,
  }
}

function sum(
  counts: CountBySource,
  kinds: readonly SourceKind[],
): { readonly answers: number; readonly bytes: number } {
  return kinds.reduce(
    (total, kind) => ({
      answers: total.answers + counts[kind].answers,
      bytes: total.bytes + counts[kind].bytes,
    }),
    { answers: 0, bytes: 0 },
  )
}

function asText(counted: Stats): string {
  const { sources, lastHour, store, peers } = counted
  const rows = sourceKinds
    .filter((kind) => sources[kind].answers > 0)
    .map((kind) => {
      const { answers, bytes } = sources[kind]
      const hour = lastHour[kind].answers
      return `  ${kind.padEnd(9)} ${String(answers).padStart(9)}   ${formatBytes(bytes).padStart(8)}   ${hour} in the last hour\n`
    })
  const up = formatDuration(counted.uptimeSeconds * 1_000)
  const percent = Math.floor(counted.savedShare * 100)
  return [
    `${counted.answers} answers, ${formatBytes(counted.bytes)}, in ${up}; failed ${counted.failed}, refused ${counted.refused}\n`,
    ...rows,
    `without upstream: ${percent} % of the answers, ${formatBytes(counted.savedBytes)}\n`,
    `peers: ${formatBytes(peers.receivedBytes)} received, ${formatBytes(peers.sentBytes)} given\n`,
    `store: ${store.zips} zips, ${formatBytes(store.zipBytes)}, ${store.mods} go.mod files\n`,
  ].join('')
}

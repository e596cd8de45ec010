import { setTimeout as sleep } from 'node:timers/promises'
import { formatModuleVersion, InvalidFileError, parseGoSum } from '@modmesh/module'
import { askNode } from '../control-socket/client.ts'
import { parseDuration } from '../duration.ts'
import { CommandError, NodeNotRunningError, UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { printJson } from '../mesh-command.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import type { RunningStatus } from '../status.ts'
import type { ListPage } from '../store-answers.ts'
import { readGoSums } from './go-sums.ts'

type WaitFlags = FlagTexts & {
  readonly json?: true
  readonly peers?: string
  readonly for?: readonly string[]
  readonly timeout?: string
}

/** Between looks: soon enough for a script. Milliseconds. */
const lookMs = 250
/** One answer of the node. Milliseconds. */
const answerTimeoutMs = 10_000
/** Names in one question. */
const namesAtOnce = 500

/** `modmesh wait`: returns when the node is ready, has peers, or holds what a go.sum names; 24 when that took too long. */
export async function wait(flags: WaitFlags, around: Surroundings): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  const timeoutMs = parseDuration('--timeout', flags.timeout ?? '60s')
  const peers = readCount(flags.peers)
  const zips = flags.for === undefined ? [] : zipsOf(await readGoSums(flags.for, around.cwd))
  const startedMs = performance.now()
  for (;;) {
    const missing = await whatIsMissing(dir, { peers, zips })
    const waitedMs = Math.round(performance.now() - startedMs)
    if (missing === undefined) {
      if (flags.json) printJson('modmesh.wait/1', { waitedMs })
      return exitCodes.done
    }
    if (waitedMs >= timeoutMs) {
      const message = `not within ${flags.timeout ?? '60s'}: ${missing}`
      throw new CommandError(message, { exitCode: exitCodes.unreachable })
    }
    await sleep(Math.min(lookMs, timeoutMs - waitedMs))
  }
}

function readCount(text: string | undefined): number {
  const count = Number(text ?? 0)
  if (Number.isSafeInteger(count) && count >= 0 && text !== '') return count
  throw new UsageError(`--peers: ${JSON.stringify(text)} is not allowed; it takes a number`)
}

function zipsOf(sums: string): readonly string[] {
  try {
    const zips = parseGoSum(Buffer.from(sums)).filter(({ kind }) => kind === 'zip')
    return [...new Set(zips.map(({ module }) => formatModuleVersion(module)))]
  } catch (error) {
    if (error instanceof InvalidFileError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}

/** Undefined when nothing is. */
async function whatIsMissing(
  dir: string,
  wanted: { readonly peers: number; readonly zips: readonly string[] },
): Promise<string | undefined> {
  try {
    const { state, mesh } = (await ask(dir, { command: 'status' })) as RunningStatus
    if (state !== 'ready' && state !== 'degraded') return `the node is ${state}`
    const connected = mesh.peers.filter((peer) => peer.connected).length
    if (connected < wanted.peers) return `${connected} of ${wanted.peers} peers connected`
    return await missingZips(dir, wanted.zips)
  } catch (error) {
    // It may be about to start.
    if (error instanceof NodeNotRunningError) return error.message
    throw error
  }
}

async function missingZips(dir: string, zips: readonly string[]): Promise<string | undefined> {
  const held = new Set<string>()
  for (let i = 0; i < zips.length; i += namesAtOnce) {
    const patterns = zips.slice(i, i + namesAtOnce)
    const page = (await ask(dir, { command: 'ls', patterns })) as ListPage
    for (const { module } of page.zips) held.add(module)
  }
  const missing = zips.filter((name) => !held.has(name))
  if (missing.length === 0) return undefined
  const more = missing.length > 3 ? ' and others' : ''
  return `${missing.length} of ${zips.length} zips not held: ${missing.slice(0, 3).join(', ')}${more}`
}

function ask(dir: string, request: Parameters<typeof askNode>[1]): Promise<unknown> {
  return askNode(dir, request, { signal: AbortSignal.timeout(answerTimeoutMs) })
}

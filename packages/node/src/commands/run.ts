import { setTimeout as sleep } from 'node:timers/promises'
import * as v from 'valibot'
import type { GoEnv } from '../client-env.ts'
import { askNode } from '../control-socket/client.ts'
import { helloSchema } from '../control-socket/protocol.ts'
import { hideArguments } from '../engine.ts'
import { CommandError, NodeNotRunningError } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { packFiles } from '../prefetch/prefetch-request.ts'
import { readProjectFiles } from '../prefetch/project-files.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import { childEnv, runChild } from '../run-child.ts'
import type { Surroundings } from '../settings.ts'

/** Milliseconds. */
const answerTimeoutMs = 5_000

/** How long a node that is starting is waited for. Milliseconds. */
const startTimeoutMs = 10_000
/** Between looks. Milliseconds. */
const lookMs = 50

type RunFlags = FlagTexts & {
  readonly command: readonly string[]
  /** False with `--no-prefetch`. */
  readonly prefetch: boolean
}

/** `modmesh run`: runs a command whose GOPROXY is a node; its exit status is ours. */
export async function run(flags: RunFlags, around: Surroundings): Promise<number> {
  hideArguments('run')
  const running = await findRunning(flags, around)
  if (running !== undefined) return await runWith(running, flags, around)
  const { startTemporaryNode } = await import('../temporary-node.ts')
  await using node = await startTemporaryNode(flags, around)
  return await runWith({ dir: node.dir, env: node.state.goEnv }, flags, around)
}

/** A node that can be asked. */
interface FoundNode {
  readonly dir: string
  /** Undefined while it starts. */
  readonly env: GoEnv | undefined
}

async function findRunning(flags: FlagTexts, around: Surroundings): Promise<FoundNode | undefined> {
  const dir = await readDirOption(flags, around)
  const endMs = performance.now() + startTimeoutMs
  try {
    for (;;) {
      const signal = AbortSignal.timeout(answerTimeoutMs)
      const answer = await askNode(dir, { command: 'hello' }, { signal })
      const { env } = v.parse(helloSchema, answer)
      if (env !== undefined || performance.now() > endMs) return { dir, env }
      await sleep(lookMs)
    }
  } catch (error) {
    if (error instanceof NodeNotRunningError) return undefined
    throw error
  }
}

async function runWith(
  { dir, env }: FoundNode,
  { command, prefetch }: RunFlags,
  around: Surroundings,
): Promise<number> {
  const url = env?.GOPROXY
  if (env === undefined || url === undefined || !url.startsWith('http')) {
    const why = url === undefined ? 'is starting' : `listens on ${url} alone, which go cannot use`
    throw new CommandError(`the node on ${dir} ${why}`, { exitCode: exitCodes.failed })
  }
  const ended = new AbortController()
  const filling = prefetch ? prefetchNearest(dir, around.cwd, ended.signal) : Promise.resolve()
  try {
    return await runChild(command, childEnv(around.env, env))
  } finally {
    ended.abort(new Error('the command ended'))
    await filling
  }
}

/** A help and no more: what is wrong, `go` itself meets and tells. Never rejects. */
async function prefetchNearest(dir: string, cwd: string, signal: AbortSignal): Promise<void> {
  try {
    const files = packFiles(await readProjectFiles([], cwd))
    const request = { command: 'prefetch', ...files, platforms: [], all: false } as const
    await askNode(dir, request, { signal })
  } catch {
    // No project here, or the command was quicker.
  }
}

import { resolve } from 'node:path'
import { encryptionFor } from '../bundle/age.ts'
import { askBundle } from '../bundle/ask-bundle.ts'
import { openBundle } from '../bundle/bundle-source.ts'
import type { ExportRequest } from '../bundle/export-answer.ts'
import { type BundleTarget, encrypted, openTarget } from '../bundle/export-target.ts'
import type { ExportResult, MissingLine } from '../bundle/results.ts'
import { formatBytes } from '../byte-size.ts'
import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { platformsOf } from '../prefetch/platforms.ts'
import { packFiles } from '../prefetch/prefetch-request.ts'
import { readProjectFiles } from '../prefetch/project-files.ts'
import { showPrefetch } from '../prefetch/show-prefetch.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { plural } from '../status-text.ts'

type ExportFlags = FlagTexts & {
  readonly names: readonly string[]
  readonly for?: readonly string[]
  readonly all?: true
  readonly output?: string
  readonly tree?: string
  readonly since?: string
  /** Of the earlier bundle. */
  readonly identity?: string
  readonly recipient?: readonly string[]
  readonly plan?: true
  readonly publicOnly?: true
  readonly treeSize?: readonly string[]
  readonly toolchains?: string | true
  readonly json?: true
}

/** Missing parts that are printed; `--json` has all. */
const maxPrinted = 20

/** `modmesh export`: writes a bundle or a tree; 20 when something that is needed is not in it. */
export async function exportBundle(flags: ExportFlags, around: Surroundings): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  const { signal } = new AbortController()
  const request = await requestOf(flags, around)
  await using target = await targetOf(flags, around)
  const { onProgress, end } = showPrefetch(process.stderr)
  const { since, identity } = flags
  const earlier = since === undefined ? undefined : await openBundle(since, around, { identity })
  const send = earlier?.chunks ?? nothing()
  const receive = (bytes: Uint8Array): Promise<void> => target.write(bytes)
  const result = (await askBundle({ dir, flags, around }, request, {
    send,
    receive,
    signal,
    onProgress,
  }).finally(end)) as ExportResult
  await target.finish()
  const isOnStdout = flags.output === '-' && !flags.plan
  const text = flags.json ? asJson(result) : asText(result, flags)
  // The bundle has stdout for itself.
  ;(isOnStdout ? process.stderr : process.stdout).write(text)
  if (result.mismatched.length > 0) return exitCodes.hashMismatch
  return result.missing.length > 0 ? exitCodes.degraded : exitCodes.done
}

async function requestOf(flags: ExportFlags, around: Surroundings): Promise<ExportRequest> {
  const names = [...(flags.for ?? []), ...flags.names]
  if (names.length === 0 && !flags.all) {
    throw new UsageError('say what to export: --for go.sum, PATH@VERSION, or --all')
  }
  const read =
    names.length > 0
      ? packFiles(await readProjectFiles(names, around.cwd))
      : { files: [], locals: [] }
  return {
    command: 'export',
    ...read,
    platforms: platformsOf(flags.toolchains),
    all: flags.all === true,
    plan: flags.plan === true,
    since: flags.since !== undefined,
    publicOnly: flags.publicOnly === true,
    treeSizes: (flags.treeSize ?? []).map(readTreeSize),
  }
}

function readTreeSize(text: string): number {
  const size = Number(text)
  if (Number.isSafeInteger(size) && size > 0) return size
  throw new UsageError(`--tree-size: ${JSON.stringify(text)} is no number of records`)
}

async function targetOf(flags: ExportFlags, around: Surroundings): Promise<BundleTarget> {
  const { output, tree, plan, recipient: recipients } = flags
  if (plan) return await openTarget({ kind: 'nothing' })
  if (output !== undefined && tree !== undefined) {
    throw new UsageError('either -o or --tree: a bundle or a tree')
  }
  if (tree !== undefined) {
    if (recipients !== undefined) throw new UsageError('--recipient: a tree is not encrypted')
    return await openTarget({ kind: 'tree', dir: resolve(around.cwd, tree) })
  }
  if (recipients === undefined) return await openBundleTarget(output, around)
  const encrypt = await encryptionFor(recipients)
  return encrypted(await openBundleTarget(output, around), encrypt)
}

async function openBundleTarget(
  output: string | undefined,
  around: Surroundings,
): Promise<BundleTarget> {
  if (output === undefined) throw new UsageError('say where to: -o FILE, -o - or --tree DIR')
  if (output !== '-') return await openTarget({ kind: 'file', path: resolve(around.cwd, output) })
  if (!process.stdout.isTTY) return await openTarget({ kind: 'stdout' })
  throw new UsageError('a bundle is no text: redirect stdout, or say -o FILE')
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function asJson(result: ExportResult): string {
  return `${JSON.stringify({ schema: 'modmesh.export/1', ...result })}\n`
}

function asText(result: ExportResult, { plan, tree }: ExportFlags): string {
  const { zips, mods, records, bytes, missing, unproven, leftOut } = result
  const what = `${zips} ${plural(zips, 'zip')}, ${mods} go.mod ${plural(mods, 'file')}, ${records} ${plural(records, 'record')}`
  const size = `${formatBytes(bytes)}${result.tree === null ? '' : `, tree ${result.tree.size} of ${result.tree.database}`}`
  const lines = [...missingLines(missing)]
  for (const { module, part, hash } of result.mismatched) {
    lines.push(`mismatch ${module} (${part}): verified ${hash}, and go.sum says otherwise`)
  }
  if (unproven > 0) {
    lines.push(
      `${unproven} ${plural(unproven, 'zip')} private or not logged: only the signature vouches for them`,
    )
  }
  if (leftOut > 0)
    lines.push(`${leftOut} ${plural(leftOut, 'part')} left out, as earlier bundles have them`)
  lines.push(`${plan ? 'would write ' : ''}${what}: ${size}`)
  if (result.bundle !== null && tree === undefined) {
    lines.push(`bundle ${result.bundle.slice(0, 16)} signed by ${result.signer}`)
  }
  lines.push(missing.length === 0 ? 'complete' : `${missing.length} missing`)
  return lines.map((line) => `${line}\n`).join('')
}

function missingLines(missing: readonly MissingLine[]): readonly string[] {
  const lines = missing
    .slice(0, maxPrinted)
    .map(({ what, name, reason }) => `missing ${what} ${name}: ${firstLine(reason)}`)
  const more = missing.length - lines.length
  return more > 0 ? [...lines, `and ${more} more: see --json`] : lines
}

function firstLine(reason: string): string {
  return escapeInvisible(reason.split('\n', 1)[0] ?? '')
}

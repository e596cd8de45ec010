import { askBundle } from '../bundle/ask-bundle.ts'
import { openBundle } from '../bundle/bundle-source.ts'
import { exitOfFault } from '../bundle/fault-exit.ts'
import type { ImportResult } from '../bundle/results.ts'
import { formatBytes } from '../byte-size.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { plural } from '../status-text.ts'
import { showProgress } from './show-progress.ts'

type ImportFlags = FlagTexts & {
  readonly file: string
  readonly signer?: readonly string[]
  readonly identity?: string
  readonly anyOrder?: true
  readonly plan?: true
  readonly json?: true
}

/** Refusals that are printed; `--json` has more. */
const maxPrinted = 20

/** `modmesh import`: takes a bundle in; 23 when it, or something in it, is not what it should be, 1 when it is none for us. */
export async function importBundle(flags: ImportFlags, around: Surroundings): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  const { signal } = new AbortController()
  const source = await openBundle(flags.file, around, { identity: flags.identity })
  const { onProgress, end } = showProgress('read')
  const { signer: signers = [], anyOrder = false, plan = false } = flags
  const { size, file } = source
  const how = { signers: [...signers], anyOrder, plan, size, file }
  const request = { command: 'import', ...how } as const
  const answer = (await askBundle({ dir, flags, around }, request, {
    send: source.chunks,
    receive: async () => {},
    signal,
    onProgress,
  }).finally(end)) as ImportResult
  const result = source.isBroken?.() === true ? withCause(answer, size) : answer
  process.stdout.write(flags.json ? asJson(result, plan) : asText(result, plan))
  if (result.fault !== null) {
    const { code, message } = result.fault
    process.stderr.write(`modmesh: bundle refused (${code}): ${escapeInvisible(message)}\n`)
  }
  return exitCodeOf(result)
}

/** A file of the right length whose end could not be decrypted was altered, not cut off. */
function withCause(result: ImportResult, size: number | undefined): ImportResult {
  const isWhole = size !== undefined && (result.bytes === null || result.bytes === size)
  if (!isWhole || result.fault?.code !== 'BUNDLE_TRUNCATED') return result
  return { ...result, fault: { code: 'BUNDLE_ALTERED', message: 'it is not what was encrypted' } }
}

function exitCodeOf({ fault, refusedCount, treeGap }: ImportResult): ExitCode {
  if (fault !== null) return exitOfFault(fault.code)
  if (refusedCount > 0) return exitCodes.hashMismatch
  return treeGap === null ? exitCodes.done : exitCodes.degraded
}

function asJson(result: ImportResult, plan: boolean): string {
  return `${JSON.stringify({ schema: 'modmesh.import/1', plan, ...result })}\n`
}

function asText(result: ImportResult, plan: boolean): string {
  const { counts, addedBytes, refused, refusedCount, treeGap } = result
  const lines = refused
    .slice(0, maxPrinted)
    .map(({ name, fault, reason }) => `refused ${name} (${fault}): ${escapeInvisible(reason)}`)
  if (refusedCount > lines.length) lines.push(`and ${refusedCount - lines.length} more: see --json`)
  const { zip, mod, record } = counts
  const added = plan ? 'lacking' : 'added'
  lines.push(
    `${zip.added} ${plural(zip.added, 'zip')} ${added} (${formatBytes(addedBytes)}), ${zip.present} present`,
    `${mod.added} go.mod ${plural(mod.added, 'file')} ${added}, ${mod.present} present; ${record.added} ${plural(record.added, 'record')} ${added}, ${record.present} present; ${refusedCount} refused`,
  )
  if (treeGap !== null) {
    lines.push(
      `the tree of ${treeGap.bundle} records could not be shown to continue ours of ${treeGap.own}: \`go\` cannot look up what is newer; export with --tree-size ${treeGap.own}`,
    )
  } else if (result.tree !== null) {
    lines.push(`tree ${result.tree.size} of ${result.tree.database}`)
  }
  return lines.map((line) => `${line}\n`).join('')
}

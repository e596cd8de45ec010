import { type FileHandle, open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { askBundle } from '../bundle/ask-bundle.ts'
import type { ImportResult } from '../bundle/results.ts'
import { formatBytes } from '../byte-size.ts'
import { errorCode, errorText, UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { plural } from '../status-text.ts'
import { showProgress } from './show-progress.ts'

type ImportFlags = FlagTexts & {
  readonly file: string
  readonly signer?: readonly string[]
  readonly anyOrder?: true
  readonly json?: true
}

/** Refusals that are printed; `--json` has more. */
const maxPrinted = 20
/** A bundle is sent in pieces of this size. Bytes. */
const pieceBytes: number = 256 << 10

/** `modmesh import`: takes a bundle in; 23 when it, or something in it, is refused. */
export async function importBundle(flags: ImportFlags, around: Surroundings): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  const { signal } = new AbortController()
  const source = await openSource(flags.file, around)
  const { onProgress, end } = showProgress('read')
  const { signer: signers = [], anyOrder = false } = flags
  const request = { command: 'import', signers: [...signers], anyOrder, size: source.size } as const
  const result = (await askBundle({ dir, flags, around }, request, {
    send: source.chunks,
    receive: async () => {},
    signal,
    onProgress,
  }).finally(end)) as ImportResult
  process.stdout.write(flags.json ? asJson(result) : asText(result))
  if (result.fault !== null) {
    const { code, message } = result.fault
    process.stderr.write(`modmesh: bundle refused (${code}): ${escapeInvisible(message)}\n`)
  }
  return exitCodeOf(result)
}

function exitCodeOf({ fault, refusedCount, treeGap }: ImportResult): ExitCode {
  if (fault !== null || refusedCount > 0) return exitCodes.hashMismatch
  return treeGap === null ? exitCodes.done : exitCodes.degraded
}

interface Source {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Undefined for what is no regular file. Bytes. */
  readonly size: number | undefined
}

async function openSource(name: string, around: Surroundings): Promise<Source> {
  if (name === '-') return { chunks: process.stdin as AsyncIterable<Buffer>, size: undefined }
  const path = resolve(around.cwd, name)
  try {
    const file = await open(path, 'r')
    const found = await file.stat()
    const size = found.isFile() ? found.size : undefined
    return { chunks: chunksOf(file), size }
  } catch (error) {
    const isAbsent = errorCode(error) === 'ENOENT'
    throw new UsageError(isAbsent ? `${path}: there is no such file` : errorText(error), {
      cause: error,
    })
  }
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  try {
    const chunk = Buffer.allocUnsafeSlow(pieceBytes)
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, chunk.length)
      if (bytesRead === 0) return
      // A copy: with no node running pieces are kept for a while.
      yield Uint8Array.from(chunk.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}

function asJson(result: ImportResult): string {
  return `${JSON.stringify({ schema: 'modmesh.import/1', ...result })}\n`
}

function asText(result: ImportResult): string {
  const { counts, addedBytes, refused, refusedCount, treeGap } = result
  const lines = refused
    .slice(0, maxPrinted)
    .map(({ name, fault, reason }) => `refused ${name} (${fault}): ${escapeInvisible(reason)}`)
  if (refusedCount > lines.length) lines.push(`and ${refusedCount - lines.length} more: see --json`)
  const { zip, mod, record } = counts
  lines.push(
    `${zip.added} ${plural(zip.added, 'zip')} added (${formatBytes(addedBytes)}), ${zip.present} present`,
    `${mod.added} go.mod ${plural(mod.added, 'file')} added, ${mod.present} present; ${record.added} ${plural(record.added, 'record')} added, ${record.present} present; ${refusedCount} refused`,
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

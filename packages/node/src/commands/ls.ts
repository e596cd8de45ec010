import { askStore } from '../ask-store.ts'
import { formatBytes } from '../byte-size.ts'
import { formatDuration } from '../duration.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { printableName } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import type { ListPage, ZipLine } from '../store-answers.ts'

/** A store of 100,000 zips is sorted for each page. Milliseconds. */
const answerTimeoutMs = 60_000

/** `modmesh ls`: one line for each zip that is held. */
export async function ls(
  flags: FlagTexts & { readonly json?: true; readonly names: readonly string[] },
  around: Surroundings,
): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  let after: string | undefined
  let isEmpty = true
  do {
    const signal = AbortSignal.timeout(answerTimeoutMs)
    const request = { command: 'ls', patterns: [...flags.names], after } as const
    // The socket's permissions, or the store's, make whoever answers ours.
    const page = (await askStore(dir, request, { signal })) as ListPage
    process.stdout.write(page.zips.map((zip) => (flags.json ? asJson(zip) : asText(zip))).join(''))
    isEmpty &&= page.zips.length === 0
    after = page.next ?? undefined
  } while (after !== undefined)
  // Not on stdout: a script counts lines there.
  if (isEmpty) {
    const what = flags.names.length > 0 ? 'none of these is held' : 'no zip is held'
    process.stderr.write(`modmesh: ${what}\n`)
  }
  return exitCodes.done
}

function asJson(zip: ZipLine): string {
  return `${JSON.stringify({ schema: 'modmesh.ls/1', ...zip })}\n`
}

function asText({ module, bytes, usedAt, pinned, publisher }: ZipLine): string {
  const used = formatDuration(Date.now() - Date.parse(usedAt))
  const by = publisher === null ? '' : `  published by ${printableName(publisher.name)}`
  return `${module}  ${formatBytes(bytes)}  used ${used} ago${by}${pinned ? '  pinned' : ''}\n`
}

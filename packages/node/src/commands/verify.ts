import { askStore } from '../ask-store.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { formatBytes } from '../status-text.ts'
import type { VerifyReport } from '../store-answers.ts'

/** `modmesh verify`: hashes everything that is held; 23 when something did not match. */
export async function verify(
  flags: FlagTexts & { readonly json?: true },
  around: Surroundings,
): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  // As long as it takes: a large store on a slow disk takes hours.
  const { signal } = new AbortController()
  const report = (await askStore(dir, { command: 'verify' }, { signal })) as VerifyReport
  const text = flags.json
    ? JSON.stringify({ schema: 'modmesh.verify/1', ...report })
    : asText(report)
  process.stdout.write(`${text}\n`)
  return report.bad.length > 0 ? exitCodes.hashMismatch : exitCodes.done
}

function asText({ zips, zipBytes, mods, bad }: VerifyReport): string {
  const lines = bad.map(
    ({ module, what, reason }) => `bad ${what} ${module}: ${escapeInvisible(reason)}; set aside`,
  )
  const verdict = bad.length === 0 ? 'all as they should be' : `${bad.length} bad`
  const held = `${zips} zips (${formatBytes(zipBytes)} are good) and ${mods} go.mod files`
  return [...lines, `${held}: ${verdict}`].join('\n')
}

import { askStore } from '../ask-store.ts'
import { formatBytes } from '../byte-size.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { plural } from '../status-text.ts'
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
  const verdict =
    bad.length === 0
      ? 'all good'
      : `${bad.length} bad, fetched anew by a running node or when asked for`
  const zipsText = `${zips} ${plural(zips, 'zip')}`
  const modsText = `${mods} go.mod ${plural(mods, 'file')}`
  return [
    ...lines,
    `${zipsText} and ${modsText} hashed, ${formatBytes(zipBytes)} held: ${verdict}`,
  ].join('\n')
}

import { askStore } from '../ask-store.ts'
import { formatBytes } from '../byte-size.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'
import { plural } from '../status-text.ts'
import type { VerifyReport } from '../verify-store.ts'
import { showProgress } from './show-progress.ts'

/** `modmesh verify`: hashes everything that is held; 23 when something did not match. */
export async function verify(
  flags: FlagTexts & { readonly json?: true },
  around: Surroundings,
): Promise<ExitCode> {
  const dir = await readDirOption(flags, around)
  // As long as it takes: a large store on a slow disk takes hours.
  const { signal } = new AbortController()
  const { onProgress, end } = showProgress('hashed')
  const options = { signal, onProgress }
  const report = (await askStore(dir, { command: 'verify' }, options).finally(end)) as VerifyReport
  const text = flags.json
    ? JSON.stringify({ schema: 'modmesh.verify/1', ...report })
    : asText(report)
  process.stdout.write(`${text}\n`)
  return report.bad.length > 0 ? exitCodes.hashMismatch : exitCodes.done
}

function asText({ zips, zipBytes, mods, bad }: VerifyReport): string {
  const lines = bad.map(badText)
  const zipsText = `${zips} ${plural(zips, 'zip')}`
  const modsText = `${mods} go.mod ${plural(mods, 'file')}`
  const hashed = `${zipsText} and ${modsText} hashed, ${formatBytes(zipBytes)} held`
  return [...lines, `${hashed}: ${verdict(bad)}`].join('\n')
}

function badText({ module, what, reason, repairedFrom, notRepaired }: Bad): string {
  const text = `bad ${what} ${module}: ${escapeInvisible(reason)}; set aside`
  if (repairedFrom !== null) return `${text}, fetched anew from ${repairedFrom}`
  const why = escapeInvisible(notRepaired ?? '').replaceAll('\n', '; ')
  return `${text}, not fetched anew: ${why}`
}

function verdict(bad: readonly Bad[]): string {
  if (bad.length === 0) return 'all good'
  const left = bad.filter(({ repairedFrom }) => repairedFrom === null).length
  if (left === 0) return `${bad.length} bad, all fetched anew`
  return `${bad.length} bad, ${left} of them not fetched anew: that is done when asked for`
}

type Bad = VerifyReport['bad'][number]

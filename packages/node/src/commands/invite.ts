import * as v from 'valibot'
import { askNode } from '../control-socket/client.ts'
import { formatDuration, parseDuration } from '../duration.ts'
import { UsageError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { nameValue } from '../option-values.ts'
import { type FlagTexts, readDirOption } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'

const answerTimeoutMs = 15_000

const invitationSchema = v.object({
  ticket: v.string(),
  mesh: v.string(),
  site: v.nullable(v.string()),
  expiresAt: v.string(),
})

/** `modmesh invite`: the ticket alone on stdout, so that it can be piped; the rest on stderr. */
export async function invite(
  flags: FlagTexts & { readonly site?: string; readonly expires?: string; readonly json?: true },
  around: Surroundings,
): Promise<ExitCode> {
  if (flags.site !== undefined && !v.is(nameValue, flags.site)) {
    throw new UsageError('--site: it takes 1 to 64 letters, digits, dots, dashes and underscores')
  }
  const expiresMs =
    flags.expires === undefined ? undefined : parseDuration('--expires', flags.expires)
  const dir = await readDirOption(flags, around)
  const signal = AbortSignal.timeout(answerTimeoutMs)
  const answer = await askNode(dir, { command: 'invite', site: flags.site, expiresMs }, { signal })
  const invitation = v.parse(invitationSchema, answer)
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ schema: 'modmesh.invite/1', ...invitation })}\n`)
    return exitCodes.done
  }
  const left = formatDuration(Date.parse(invitation.expiresAt) - Date.now())
  process.stderr.write(
    `Ticket for mesh ${invitation.mesh}, good for ${left}; keep it secret. On the other host:\n` +
      '  modmesh start --join FILE      or: MODMESH_JOIN=<ticket> modmesh start\n',
  )
  process.stdout.write(`${invitation.ticket}\n`)
  return exitCodes.done
}

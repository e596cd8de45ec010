import * as v from 'valibot'
import { formatGoEnv, type GoEnv, goEnv, localUrl, type Shell } from '../client-env.ts'
import { askNode } from '../control-socket/client.ts'
import { helloSchema } from '../control-socket/protocol.ts'
import { CommandError, NodeNotRunningError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { parseHostPort } from '../option-values.ts'
import { type FlagTexts, readDirOption, readOptions } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'

const answerTimeoutMs = 5_000

/** `modmesh env`: what `go` on this host must be told. Asks the running node; else reads the configuration. */
export async function env(
  flags: FlagTexts & { readonly json?: true; readonly shell?: Shell },
  around: Surroundings,
): Promise<ExitCode> {
  const running = await askRunning(flags, around)
  const variables = running ?? (await fromConfiguration(flags, around))
  if (running === undefined) {
    process.stderr.write('modmesh: no node is running; these lines are from the configuration\n')
  }
  if (flags.json) {
    const object = { schema: 'modmesh.env/1', running: running !== undefined, env: variables }
    process.stdout.write(`${JSON.stringify(object)}\n`)
  } else {
    process.stdout.write(formatGoEnv(variables, flags.shell ?? 'go'))
  }
  return exitCodes.done
}

async function askRunning(flags: FlagTexts, around: Surroundings): Promise<GoEnv | undefined> {
  const dir = await readDirOption(flags, around)
  try {
    const signal = AbortSignal.timeout(answerTimeoutMs)
    return v.parse(helloSchema, await askNode(dir, { command: 'hello' }, { signal })).env
  } catch (error) {
    if (error instanceof NodeNotRunningError) return undefined
    throw error
  }
}

async function fromConfiguration(flags: FlagTexts, around: Surroundings): Promise<GoEnv> {
  const { settings } = await readOptions(flags, around)
  const parsed = parseHostPort(settings.listen)
  if (parsed === undefined || parsed.port === 0) {
    throw new CommandError(`no node is running on ${settings.dir}, and --listen names no port`, {
      exitCode: exitCodes.notRunning,
    })
  }
  return goEnv(settings, localUrl(parsed.host, parsed.port))
}

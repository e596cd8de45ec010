import * as v from 'valibot'
import {
  formatGoEnv,
  formatOtherWays,
  type GoEnv,
  goEnv,
  localUrl,
  type Shell,
} from '../client-env.ts'
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
  const { env: variables, otherWays = [] } = running ?? (await fromConfiguration(flags, around))
  if (running === undefined) {
    process.stderr.write('modmesh: no node is running; these lines are from the configuration\n')
  }
  if (flags.json) {
    const isRunning = running !== undefined
    const more = otherWays.length > 0 ? { otherWays } : {}
    const object = { schema: 'modmesh.env/1', running: isRunning, env: variables, ...more }
    process.stdout.write(`${JSON.stringify(object)}\n`)
  } else {
    process.stdout.write(formatGoEnv(variables, flags.shell ?? 'go') + formatOtherWays(otherWays))
  }
  return exitCodes.done
}

/** What is printed. */
interface Ways {
  readonly env: GoEnv
  readonly otherWays?: readonly string[] | undefined
}

async function askRunning(flags: FlagTexts, around: Surroundings): Promise<Ways | undefined> {
  const dir = await readDirOption(flags, around)
  try {
    const signal = AbortSignal.timeout(answerTimeoutMs)
    const { env, otherWays } = v.parse(
      helloSchema,
      await askNode(dir, { command: 'hello' }, { signal }),
    )
    return env && { env, otherWays }
  } catch (error) {
    if (error instanceof NodeNotRunningError) return undefined
    throw error
  }
}

async function fromConfiguration(flags: FlagTexts, around: Surroundings): Promise<Ways> {
  const { settings } = await readOptions(flags, around)
  const addresses = settings.listen.map((text) => parseHostPort(text))
  const parsed = addresses.find((address) => address !== undefined && address.port !== 0)
  if (parsed === undefined) {
    throw new CommandError(`no node is running on ${settings.dir}, and --listen names no port`, {
      exitCode: exitCodes.notRunning,
    })
  }
  return { env: goEnv(settings, localUrl(parsed.host, parsed.port)) }
}

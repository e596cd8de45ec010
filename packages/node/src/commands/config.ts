import { resolve } from 'node:path'
import { displayUpstreams } from '@modmesh/goproxy'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { printJson } from '../mesh-command.ts'
import { flagName, optionNames, options } from '../options.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, formatOrigin, type ReadOptions, readOptions } from '../read-options.ts'
import type { OptionName, Surroundings } from '../settings.ts'
import { planStart, type StartPlan } from '../start-plan.ts'

type ConfigFlags = FlagTexts & { readonly json?: true; readonly check?: string }

/** An option as `config` shows it. */
interface ConfigLine {
  readonly name: string
  /** As it was written, or the default as people read it; null when there is none, or it is a secret. */
  readonly value: string | null
  readonly secret: boolean
  readonly from: 'flag' | 'variable' | 'file' | 'default'
  /** Flag, variable, or file and line. */
  readonly where: string
}

/** `modmesh config`: what `start` would run with, and where each value comes from; with --check whether a file is right. */
export async function config(flags: ConfigFlags, around: Surroundings): Promise<ExitCode> {
  const { check, json, ...given } = flags
  const read =
    check === undefined
      ? await readOptions(given, around)
      : await readOptions({ config: resolve(around.cwd, check) }, { ...around, env: {} })
  // What only the packages below can judge; a ticket from standard input is read once, by start.
  const { settings } = read
  const { join } = settings
  const plan = await planStart({
    ...read,
    settings: join?.kind === 'stdin' ? { ...settings, join: undefined } : settings,
  })
  const lines = optionNames.map((name) => configLine(name, read, plan))
  if (check !== undefined) return printChecked(check, lines, json)
  if (json) printJson('modmesh.config/1', { options: lines })
  else process.stdout.write(lines.map(asText).join(''))
  return exitCodes.done
}

function printChecked(
  path: string,
  lines: readonly ConfigLine[],
  json: true | undefined,
): ExitCode {
  const set = lines.filter(({ from }) => from === 'file')
  if (json) printJson('modmesh.config/1', { file: path, options: set })
  else process.stdout.write(`${path}: ok, ${set.length} options\n${set.map(asText).join('')}`)
  return exitCodes.done
}

function configLine(
  name: OptionName,
  { origins, texts }: ReadOptions,
  plan: StartPlan,
): ConfigLine {
  const origin = origins.get(name) ?? { kind: 'default' as const }
  const { secret = false, fallbackText = null } = options[name]
  const isDefault = origin.kind === 'default'
  // Without the credentials that may be in it.
  const shown = name === 'upstream' ? displayUpstreams(plan.upstream) : undefined
  const written = shown ?? (secret ? null : (texts.get(name) ?? null))
  const value = isDefault ? fallbackText : written
  const where = isDefault ? 'default' : formatOrigin(name, origin)
  return {
    name: flagName(name),
    value,
    secret: secret && !isDefault && shown === undefined,
    from: origin.kind,
    where,
  }
}

function asText({ name, value, secret, where }: ConfigLine): string {
  const shown = secret ? '(set; not shown)' : value === null ? '(none)' : escapeInvisible(value)
  return `${name} = ${shown}   # ${escapeInvisible(where)}\n`
}

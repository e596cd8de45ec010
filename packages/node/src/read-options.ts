import { access, constants } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import * as v from 'valibot'
import { type ConfigFile, readConfigFile } from './config-file.ts'
import { UsageError } from './errors.ts'
import { flagName, optionNames, options, variableName } from './options.ts'
import type { Option, OptionName, Settings, Surroundings } from './settings.ts'

/** Texts given on the command line. */
export type FlagTexts = { readonly [K in OptionName]?: string }

/** Where the value of an option came from. */
export type Origin =
  | { readonly kind: 'flag' | 'variable' }
  | { readonly kind: 'file'; readonly path: string; readonly line: number }
  | { readonly kind: 'default' }

/** The settings and where each came from. */
export interface ReadOptions {
  readonly settings: Settings
  readonly origins: ReadonlyMap<OptionName, Origin>
  /** What was written for the options that are not at their default. */
  readonly texts: ReadonlyMap<OptionName, string>
}

/**
 * Takes a copy of what options are read from. The ticket leaves the process's own environment at
 * once: no child process may inherit it.
 */
export function takeSurroundings(): Surroundings {
  const env = { ...process.env }
  delete process.env.MODMESH_JOIN
  return { env, home: homedir(), cwd: process.cwd() }
}

/**
 * Reads every option: flag over environment over file over default (design, section 7).
 * Throws UsageError that names the option, where it was set and what is allowed.
 */
export async function readOptions(flags: FlagTexts, around: Surroundings): Promise<ReadOptions> {
  const file = await findConfigFile(flags, around)
  const settings: Partial<Record<OptionName, unknown>> = {}
  const origins = new Map<OptionName, Origin>()
  const texts = new Map<OptionName, string>()
  for (const name of optionNames) {
    const { value, origin, text } = readOption(name, flags, file, around)
    settings[name] = value
    origins.set(name, origin)
    if (text !== undefined) texts.set(name, text)
  }
  return { settings: settings as unknown as Settings, origins, texts }
}

/**
 * Reads the data directory alone, for commands that look for a running node. The configuration file
 * is read only when neither flag nor variable says where, so a broken one cannot hide a node.
 */
export async function readDirOption(flags: FlagTexts, around: Surroundings): Promise<string> {
  const given = flags.dir ?? (around.env.MODMESH_DIR || undefined)
  const file = given === undefined ? await findConfigFile(flags, around) : undefined
  return String(readOption('dir', flags, file, around).value)
}

/** Reads `--max-size` alone, as a node on this directory would: a mistake in another option is not its matter. */
export async function readMaxSizeOption(
  flags: FlagTexts,
  around: Surroundings,
): Promise<number | undefined> {
  return readOption('maxSize', flags, await findConfigFile(flags, around), around).value
}

/** Says where an option was set, as people would look for it. */
export function formatOrigin(name: OptionName, origin: Origin): string {
  switch (origin.kind) {
    case 'flag':
      return `--${flagName(name)}`
    case 'variable':
      return variableName(name)
    case 'file':
      return `${origin.path}:${origin.line}: ${flagName(name)}`
    case 'default':
      return `--${flagName(name)} (default)`
  }
}

/** Makes the error for a value that is well-formed and yet cannot be used. */
export function badOption(
  read: ReadOptions,
  name: OptionName,
  reason: string,
  options: ErrorOptions = {},
): UsageError {
  const origin = read.origins.get(name) ?? { kind: 'default' }
  return new UsageError(`${formatOrigin(name, origin)}: ${reason}`, options)
}

interface FoundFile {
  readonly path: string
  readonly entries: ConfigFile
}

async function findConfigFile(
  flags: FlagTexts,
  around: Surroundings,
): Promise<FoundFile | undefined> {
  const { value, origin } = readOption('config', flags, undefined, around)
  if (value === undefined) return await findDefaultFile(around)
  const entries = await readConfigFile(value)
  if (entries !== undefined) return { path: value, entries }
  throw new UsageError(`${formatOrigin('config', origin)}: ${value} does not exist`)
}

/** Nobody named this one: it need not exist, nor be ours to read (as after `sudo -u`). */
async function findDefaultFile(around: Surroundings): Promise<FoundFile | undefined> {
  const configHome = around.env.XDG_CONFIG_HOME || join(around.home, '.config')
  const path = join(configHome, 'modmesh', 'config.toml')
  const isReadable = await access(path, constants.R_OK).then(
    () => true,
    () => false,
  )
  const entries = isReadable ? await readConfigFile(path) : undefined
  return entries && { path, entries }
}

function readOption<K extends OptionName>(
  name: K,
  flags: FlagTexts,
  file: FoundFile | undefined,
  around: Surroundings,
): { readonly value: Settings[K]; readonly origin: Origin; readonly text?: string } {
  const option: Option<Settings[K]> = options[name]
  const found = findText(name, option, flags, file, around)
  if (found === undefined) return { value: option.fallback(around), origin: { kind: 'default' } }
  const schema = (found.origin.kind === 'variable' && option.envSchema) || option.schema
  const text = isPath(option, schema) ? resolvePath(found, around) : found.text
  const result = v.safeParse(schema, text)
  if (result.success) return { value: result.output, origin: found.origin, text }
  throw notAllowed(formatOrigin(name, found.origin), option, found.text, result.issues[0].message)
}

interface FoundText {
  readonly text: string
  readonly origin: Exclude<Origin, { readonly kind: 'default' }>
}

function findText(
  name: OptionName,
  option: Option<unknown>,
  flags: FlagTexts,
  file: FoundFile | undefined,
  around: Surroundings,
): FoundText | undefined {
  const flag = flags[name]
  if (flag !== undefined) return { text: flag, origin: { kind: 'flag' } }
  const variable = around.env[variableName(name)]
  if (variable !== undefined && (variable !== '' || option.emptyEnv)) {
    return { text: variable, origin: { kind: 'variable' } }
  }
  const entry = file?.entries.get(name)
  if (file === undefined || entry === undefined) return undefined
  return { text: entry.text, origin: { kind: 'file', path: file.path, line: entry.line } }
}

function isPath(option: Option<unknown>, schema: unknown): boolean {
  return option.kind === 'path' && schema === option.schema
}

/** Paths in a file are relative to the file; others to where the command was typed. */
function resolvePath({ text, origin }: FoundText, around: Surroundings): string {
  if (text === '' || text === '-') return text
  if (text.startsWith('~/')) return join(around.home, text.slice(2))
  return resolve(origin.kind === 'file' ? dirname(origin.path) : around.cwd, text)
}

function notAllowed(
  where: string,
  option: Option<unknown>,
  text: string,
  allowed: string,
): UsageError {
  const shown = option.secret ? 'this value' : JSON.stringify(text.slice(0, 100))
  return new UsageError(`${where}: ${shown} is not allowed; it takes ${allowed}`)
}

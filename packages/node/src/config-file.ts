import { readFile } from 'node:fs/promises'
import { parse, TomlError } from 'smol-toml'
import { closestWord } from './closest-word.ts'
import { errorCode, errorText, UsageError } from './errors.ts'
import { flagName, optionNames, options } from './options.ts'
import type { Option, OptionName } from './settings.ts'

/** What a configuration file says: the text of each option set in it, and its line. */
export type ConfigFile = ReadonlyMap<OptionName, { readonly text: string; readonly line: number }>

/** No configuration of ours comes near it; a larger file is the wrong file. */
const maxConfigBytes = 1024 * 1024

/** Reads a TOML configuration file; undefined when it does not exist. Throws UsageError with file and line. */
export async function readConfigFile(path: string): Promise<ConfigFile | undefined> {
  try {
    const bytes = await readFile(path)
    if (bytes.length > maxConfigBytes)
      throw new UsageError(`${path}: too large for a configuration file`)
    return parseConfigFile(path, bytes.toString('utf8'))
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    if (error instanceof UsageError) throw error
    throw new UsageError(`${path}: cannot be read: ${errorText(error)}`, { cause: error })
  }
}

/** Reads the text of a configuration file; `path` is for messages. Throws UsageError with file and line. */
export function parseConfigFile(path: string, text: string): ConfigFile {
  const table = parseToml(path, text)
  const byKey = new Map(optionNames.filter(inFile).map((name) => [flagName(name), name]))
  const found = new Map<OptionName, { text: string; line: number }>()
  for (const [key, value] of Object.entries(table)) {
    const line = lineOfKey(text, key)
    const name = byKey.get(key)
    if (name === undefined) throw unknownKey(`${path}:${line}`, key, [...byKey.keys()])
    found.set(name, { text: valueText(`${path}:${line}: ${key}`, options[name], value), line })
  }
  return found
}

function inFile(name: OptionName): boolean {
  return options[name].notInFile === undefined
}

function parseToml(path: string, text: string): Record<string, unknown> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const reason = error.message.split('\n', 1)[0] ?? ''
    throw new UsageError(`${path}:${error.line}:${error.column}: ${reason}`, { cause: error })
  }
}

function unknownKey(where: string, key: string, known: readonly string[]): UsageError {
  const meant = closestWord(key, known)
  const hint = meant === undefined ? `known are: ${known.join(', ')}` : `did you mean "${meant}"?`
  return new UsageError(`${where}: unknown key ${JSON.stringify(key)}; ${hint}`)
}

function valueText(where: string, option: Option<unknown>, value: unknown): string {
  if (typeof value === 'string') return value
  if (option.kind === 'switch' && typeof value === 'boolean') return value ? 'on' : 'off'
  if (option.kind === 'text' && typeof value === 'number') return String(value)
  const joint = option.kind === 'list' ? ',' : option.kind === 'rules' ? ';' : undefined
  if (joint !== undefined && Array.isArray(value) && value.every((e) => typeof e === 'string')) {
    return value.join(joint)
  }
  const routes = option.kind === 'routes' ? routesText(value) : undefined
  if (routes !== undefined) return routes
  throw new UsageError(`${where}: must be ${allowedTypes[option.kind]}`)
}

/** An array as the flag given several times, or a table of globs and lists with `default` among them. */
function routesText(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const parts = Array.isArray(value)
    ? value.map((list) => ['default', list])
    : Object.entries(value)
  if (!parts.every(([, list]) => typeof list === 'string')) return undefined
  return parts.map(([globs, list]) => (globs === 'default' ? list : `${globs}=${list}`)).join(';')
}

const allowedTypes: Readonly<Record<Option<unknown>['kind'], string>> = {
  text: 'a string or a number',
  list: 'an array of strings',
  rules: 'an array of strings',
  routes: 'a string, an array of strings or a table of them',
  switch: 'true or false',
  path: 'a string',
}

/** The parser keeps no lines, and our keys are all on the top level: the first line that begins with it. */
function lineOfKey(text: string, key: string): number {
  const starts = [key, `"${key}"`, `'${key}'`, `[${key}`, `[[${key}`]
  const index = text.split('\n').findIndex((line) => {
    const trimmed = line.trimStart()
    return starts.some((start) => {
      const next = trimmed[start.length] ?? ''
      return trimmed.startsWith(start) && !isKeyCharacter(next)
    })
  })
  return Math.max(index, 0) + 1
}

function isKeyCharacter(c: string): boolean {
  return (
    c === '-' ||
    c === '_' ||
    (c >= 'a' && c <= 'z') ||
    (c >= 'A' && c <= 'Z') ||
    (c >= '0' && c <= '9')
  )
}

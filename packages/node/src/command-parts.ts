import { Option as Flag } from 'commander'
import { flagName, options, variableName } from './options.ts'
import type { Option, OptionName, Surroundings } from './settings.ts'

/** What a command is run with; returns its exit code (`run`: that of what it ran) or throws CommandError. */
export type Run<T> = (flags: T, around: Surroundings) => Promise<number>

/** Makes what a command does of how it is loaded. */
export type Bind = <T>(load: () => Promise<Run<T>>) => (flags: T) => Promise<void>

/** Shows a row of the option table as a flag. */
export function flagOf(name: OptionName): Flag {
  const option: Option<unknown> = options[name]
  const placeholder =
    option.kind === 'switch' ? `[${option.placeholder}]` : `<${option.placeholder}>`
  const fallback = option.fallbackText === undefined ? '' : `, default ${option.fallbackText}`
  const flag = new Flag(
    `--${flagName(name)} ${placeholder}`,
    `${option.help} [${variableName(name)}${fallback}]`,
  ).helpGroup(`${option.group}:`)
  if (option.kind === 'switch') flag.preset('on')
  const joint = option.kind === 'list' ? ',' : ';'
  if (['list', 'rules', 'routes'].includes(option.kind)) {
    flag.argParser((text: string, before: unknown) =>
      typeof before === 'string' ? `${before}${joint}${text}` : text,
    )
  }
  return flag
}

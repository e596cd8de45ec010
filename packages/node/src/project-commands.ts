import type { Command } from 'commander'
import { type Bind, flagOf } from './command-parts.ts'
import { commandHelp } from './help-texts.ts'
import { optionNames } from './options.ts'
import type { FlagTexts } from './read-options.ts'
import type { OptionName } from './settings.ts'

/** Where a node for the time of a command listens is nobody's to choose. */
const notTaken = new Set<OptionName>(['listen'])

/** Adds what is about projects: done by the running node, or by one for the time of the command. */
export function addProjectCommands(program: Command, bind: Bind): void {
  const prefetch = bind<FlagTexts & { readonly names: readonly string[] }>(
    async () => (await import('./commands/prefetch.ts')).prefetch,
  )
  const files = command(
    program,
    'prefetch',
    'have everything held that projects need, with progress',
  )
  files
    .argument('[names...]', 'files, folders, PATH@VERSION, or - (default: the nearest project)')
    .option('--all', 'also what go.sum still names and `go` does not ask for')
    .option(
      '--pin <PROJECT>',
      'keep it whatever --max-size says, until it is unpinned by this name',
    )
    .option(
      '--toolchains [PLATFORMS]',
      'also the Go that they name, for this platform or linux-amd64,…',
    )
    .option('--json', 'print one JSON object')
    .action((names: readonly string[], flags: FlagTexts) => prefetch({ ...flags, names }))
  const run = bind<RunFlags>(async () => (await import('./commands/run.ts')).run)
  const other = command(program, 'run', 'run a command with GOPROXY set to a node')
  other
    .argument('<command...>', 'what to run, after --')
    .option('--no-prefetch', 'fetch only what the command asks for')
    .action((words: readonly string[], flags: Omit<RunFlags, 'command'>) =>
      run({ ...flags, command: words }),
    )
  for (const each of [files, other]) {
    for (const name of optionNames) if (!notTaken.has(name)) each.addOption(flagOf(name))
  }
}

type RunFlags = FlagTexts & { readonly command: readonly string[]; readonly prefetch: boolean }

function command(program: Command, name: 'prefetch' | 'run', summary: string): Command {
  return program.command(name).summary(summary).description(commandHelp[name])
}

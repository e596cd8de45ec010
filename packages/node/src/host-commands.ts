import { type Command, Option as Flag } from 'commander'
import { type Bind, flagOf } from './command-parts.ts'
import type { CompletedCommand, CompletionShell } from './commands/completion.ts'
import { commandHelp } from './help-texts.ts'
import { optionNames } from './options.ts'
import type { FlagTexts } from './read-options.ts'

/** Adds what helps to run a node on a host: in scripts, in shells, and to see its options and numbers. */
export function addHostCommands(program: Command, bind: Bind): void {
  const add = (name: 'wait' | 'stats' | 'config' | 'completion', summary: string): Command =>
    program.command(name).summary(summary).description(commandHelp[name])
  add('wait', 'return when the node is ready, has peers, or holds what a go.sum names')
    .addOption(flagOf('dir'))
    .option('--peers <N>', 'until so many peers are connected')
    .option('--for <GO.SUM...>', 'until all zips are held that these go.sum files name')
    .option('--timeout <TIME>', 'the longest wait: 30s, 5m (default: 60s)')
    .option('--json', 'print one JSON object')
    .action(bind<FlagTexts>(async () => (await import('./commands/wait.ts')).wait))
  add('stats', 'what was answered from where, since the start of the node')
    .addOption(flagOf('dir'))
    .option('--json', 'print one JSON object')
    .action(bind<FlagTexts>(async () => (await import('./commands/stats.ts')).stats))
  const config = add('config', 'the options in force, and where each comes from')
  for (const name of optionNames) config.addOption(flagOf(name))
  config
    .option('--check <FILE>', 'only look whether a configuration file is right')
    .option('--json', 'print one JSON object')
    .action(bind<FlagTexts>(async () => (await import('./commands/config.ts')).config))
  addCompletion(add('completion', 'print what makes a shell complete commands'), program, bind)
}

function addCompletion(command: Command, program: Command, bind: Bind): void {
  const run = bind<{ readonly shell: CompletionShell }>(async () => {
    const { completion } = await import('./commands/completion.ts')
    return async ({ shell }) => completion(shell, completedCommands(program, ''))
  })
  command
    .addArgument(program.createArgument('<shell>').choices(['bash', 'zsh', 'fish']))
    .action((shell: CompletionShell) => run({ shell }))
}

function completedCommands(above: Command, prefix: string): readonly CompletedCommand[] {
  return above.commands.flatMap((command) => {
    const name = `${prefix}${command.name()}`
    const flags = command.options.map((option: Flag) => ({
      name: option.long ?? '',
      help: option.description.split(' [', 1)[0] ?? '',
      takesValue: option.required || option.optional,
    }))
    return [{ name, summary: command.summary(), flags }, ...completedCommands(command, `${name} `)]
  })
}

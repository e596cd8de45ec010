import type { Command } from 'commander'
import { type Bind, flagOf } from './command-parts.ts'
import { commandHelp } from './help-texts.ts'
import type { FlagTexts } from './read-options.ts'

/** Adds what tells of the running node's peers, and of what it did for a module version. */
export function addReportCommands(program: Command, bind: Bind): void {
  const add = (name: 'peers' | 'why' | 'doctor', summary: string): Command =>
    program
      .command(name)
      .summary(summary)
      .description(commandHelp[name])
      .addOption(flagOf('dir'))
      .option('--json', 'print one JSON object')
  add('peers', 'who is in the mesh, and what they gave and took').action(
    bind<FlagTexts>(async () => (await import('./commands/peers.ts')).peers),
  )
  add('doctor', 'look for what is usually wrong, and say what to type')
    .addOption(flagOf('config'))
    .action(bind<FlagTexts>(async () => (await import('./commands/doctor.ts')).doctor))
  const why = bind<FlagTexts & { readonly module: string }>(
    async () => (await import('./commands/why.ts')).why,
  )
  add('why', 'how a module version was answered, and would be')
    .argument('<path@version>', 'the module version')
    .action((module: string, flags: FlagTexts) => why({ ...flags, module }))
}

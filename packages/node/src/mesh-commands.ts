import type { Command } from 'commander'
import { type Bind, flagOf } from './command-parts.ts'
import { commandHelp } from './help-texts.ts'
import type { FlagTexts } from './read-options.ts'

/** Adds what only the running node can do, since it is the one in the mesh. */
export function addMeshCommands(program: Command, bind: Bind): void {
  add(program, 'invite', 'invite', 'print a ticket with which other hosts join the mesh')
    .option('--site <NAME>', 'the site of those who join with it (default: they choose)')
    .option('--roles <ROLES>', 'what they may do: admit, publisher, private; by commas')
    .option('--expires <TIME>', 'how long it can be used: 30m, 12h, 7d (default: 24h)')
    .option('--uses <N>', 'how many hosts can join with it (default: 1024)')
    .action(bind(async () => (await import('./commands/invite.ts')).invite))
  add(program, 'join', 'join', 'join a mesh with a ticket, without a restart')
    .argument('[file]', 'where the ticket is, `-` for standard input (default: it is asked for)')
    .action(
      withArgument(
        'file',
        bind(async () => (await import('./commands/join.ts')).join),
      ),
    )
  add(program, 'members', 'members', 'list who belongs to the mesh').action(
    bind(async () => (await import('./commands/members.ts')).members),
  )
  add(program, 'revoke', 'revoke', 'end a member or a ticket, for good')
    .argument('<member|invite>', 'name or peer id of a member, or the invite’s number')
    .option('--why <TEXT>', 'a reason, kept with it')
    .action(
      withArgument(
        'target',
        bind(async () => (await import('./commands/revoke.ts')).revoke),
      ),
    )
  const publish = bind<FlagTexts & { readonly names: readonly string[] }>(
    async () => (await import('./commands/publish.ts')).publish,
  )
  add(program, 'publish', 'publish', 'sign private module versions into the mesh')
    .argument('<names...>', 'PATH@VERSION')
    .action((names: readonly string[], flags: FlagTexts) => publish({ ...flags, names }))
  add(program, 'leave', 'leave', 'leave the mesh')
    .option('--forget-root', 'also when the mesh’s root key goes with it')
    .action(bind(async () => (await import('./commands/leave.ts')).leave))
  add(program, 'rekey', 'rekey', 'give this node a new key, in the same mesh').action(
    bind(async () => (await import('./commands/rekey.ts')).rekey),
  )
  addRoot(program, bind)
  addSite(program, bind)
  addSeed(program, bind)
}

function addSeed(program: Command, bind: Bind): void {
  add(program, 'seed', 'seed', 'have this site hold what one connected member has')
    .requiredOption('--from <MEMBER>', 'name or peer id of who gives')
    .option('--for <FILE...>', 'only what these projects need: go.sum, go.mod or folders')
    .option('--all', 'all that the giver has (default)')
    .option('--replicas <N>', 'members of the site that are to hold each (default: 2)')
    .option('--wait <TIME>', 'how long a giver that went away is waited for (default: 10m)')
    .action(bind(async () => (await import('./commands/seed.ts')).seed))
}

function addSite(program: Command, bind: Bind): void {
  const site = program.command('site').summary('see, test and limit the links to other sites')
  site.description(commandHelp.site).helpCommand(false)
  add(site, 'list', 'siteList', 'list the links to other sites').action(
    bind(async () => (await import('./commands/site.ts')).listSites),
  )
  add(site, 'test', 'siteTest', 'measure the link to a site')
    .argument('<site>', 'its name')
    .option('--bytes <SIZE>', 'what the test may take of the link (default: 2MB)')
    .action(
      withArgument(
        'site',
        bind(async () => (await import('./commands/site.ts')).testSite),
      ),
    )
  const limit = bind<FlagTexts & { readonly site: string; readonly words: readonly string[] }>(
    async () => (await import('./commands/site.ts')).limitSite,
  )
  add(site, 'limit', 'siteLimit', 'set what may cross the link to a site')
    .argument('<site>', 'its name, `*` for every site without words of its own')
    .argument('<words...>', 'open, metered, paused, forbidden, RATE, …; `default` forgets them')
    .action((name: string, words: readonly string[], flags: FlagTexts) =>
      limit({ ...flags, site: name, words }),
    )
}

function addRoot(program: Command, bind: Bind): void {
  const root = program.command('root').summary('keep, share and change the key of the mesh')
  root.description(commandHelp.root).helpCommand(false)
  add(root, 'export', 'rootExport', 'print the root key').action(
    bind(async () => (await import('./commands/root.ts')).exportRoot),
  )
  add(root, 'import', 'rootImport', 'take an exported root key')
    .argument('[file]', 'where the key is, `-` for standard input (default: it is asked for)')
    .action(
      withArgument(
        'file',
        bind(async () => (await import('./commands/root.ts')).importRoot),
      ),
    )
  add(root, 'grant', 'rootGrant', 'make a member an administrator')
    .argument('<member>', 'name or peer id')
    .action(
      withArgument(
        'target',
        bind(async () => (await import('./commands/root.ts')).grantRoot),
      ),
    )
  add(root, 'rotate', 'rootRotate', 'change the root key').action(
    bind(async () => (await import('./commands/root.ts')).rotateRoot),
  )
}

function add(to: Command, name: string, help: keyof typeof commandHelp, summary: string): Command {
  return to
    .command(name)
    .summary(summary)
    .description(commandHelp[help])
    .addOption(flagOf('dir'))
    .option('--json', 'print one JSON object')
}

/** Gives a command its one argument among the flags. */
function withArgument<K extends string>(
  name: K,
  run: (flags: FlagTexts & { readonly [key in K]: string }) => Promise<void>,
): (value: string, flags: FlagTexts) => Promise<void> {
  return (value, flags) => run({ ...flags, [name]: value } as FlagTexts & { [key in K]: string })
}

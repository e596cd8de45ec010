import { Command, CommanderError, Option as Flag } from 'commander'
import { addBundleCommands } from './bundle-commands.ts'
import { closestWord } from './closest-word.ts'
import { type Bind, flagOf, type Run } from './command-parts.ts'
import { CommandError, errorText, UsageError } from './errors.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { commandHelp, exitCodeHelp, firstSteps } from './help-texts.ts'
import { addHostCommands } from './host-commands.ts'
import { addMeshCommands } from './mesh-commands.ts'
import { optionNames } from './options.ts'
import { escapeInvisible } from './printable.ts'
import { addProjectCommands } from './project-commands.ts'
import { type FlagTexts, takeSurroundings } from './read-options.ts'
import { addReportCommands } from './report-commands.ts'
import type { Surroundings } from './settings.ts'
import { programVersion } from './version.ts'

/**
 * Runs one command and returns its exit code. Errors become one line on stderr. Commands are loaded
 * when they run, so that clients never load the mesh.
 */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const around = takeSurroundings()
  endQuietlyOnClosedPipe()
  const outcome: { exitCode: number } = { exitCode: exitCodes.done }
  const program = buildProgram(around, (exitCode) => {
    outcome.exitCode = exitCode
  })
  try {
    checkCommandName(program, args[0])
    checkRunArguments(args)
    await program.parseAsync(oneDashAsTwo(program, args), { from: 'user' })
    return outcome.exitCode
  } catch (error) {
    return reportError(error)
  }
}

/** Builds the command table: names, flags and help; what each does is loaded when it runs. */
function buildProgram(around: Surroundings, done: (exitCode: number) => void): Command {
  const program = new Command('modmesh')
  const bind =
    <T>(load: () => Promise<Run<T>>) =>
    async (flags: T): Promise<void> => {
      const run = await load()
      done(await run(flags, around))
    }
  program
    .description('A peer-to-peer mesh of Go module caches.')
    .version(`modmesh ${programVersion()}`, '--version', 'print the version')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', exitCodeHelp)
    .action(() => {
      process.stdout.write(firstSteps)
    })
  addStart(program, bind)
  addStatus(program, bind)
  addReportCommands(program, bind)
  addEnv(program, bind)
  addMeshCommands(program, bind)
  addStoreCommands(program, bind)
  addProjectCommands(program, bind)
  addBundleCommands(program, bind)
  addHostCommands(program, bind)
  for (const command of allCommands(program)) quiet(command)
  return program
}

function addStart(program: Command, bind: Bind): void {
  const start = program.command('start').summary('run the node in the foreground')
  for (const name of optionNames) start.addOption(flagOf(name))
  start
    .description(commandHelp.start)
    .action(bind<FlagTexts>(async () => (await import('./commands/start.ts')).start))
}

function addStatus(program: Command, bind: Bind): void {
  program
    .command('status')
    .summary('health, store, peers, and where the last hour’s bytes came from')
    .description(commandHelp.status)
    .addOption(flagOf('dir'))
    .option('--json', 'print one JSON object')
    .action(bind<FlagTexts>(async () => (await import('./commands/status.ts')).status))
}

function addEnv(program: Command, bind: Bind): void {
  program
    .command('env')
    .summary('print the lines that make `go` use the node of this host')
    .description(commandHelp.env)
    .addOption(flagOf('dir'))
    .addOption(flagOf('config'))
    .addOption(
      new Flag('--shell <SHELL>', 'how to print them: go (default), sh, fish or pwsh')
        .choices(['go', 'sh', 'fish', 'pwsh'])
        .default('go'),
    )
    .option('--json', 'print one JSON object')
    .action(bind<FlagTexts>(async () => (await import('./commands/env.ts')).env))
}

/** What works on the store: done by the running node, or by the command itself. */
function addStoreCommands(program: Command, bind: Bind): void {
  const add = (name: keyof typeof commandHelp, summary: string): Command =>
    program
      .command(name)
      .summary(summary)
      .description(commandHelp[name])
      .addOption(flagOf('dir'))
      .option('--json', 'print JSON')
  add('ls', 'list the module zips that are held')
    .argument('[names...]', 'PATH@VERSION, or a path or glob as in GOPRIVATE; none for all')
    .action(withNames(bind(async () => (await import('./commands/ls.ts')).ls)))
  addAdopt(add('adopt', 'take over a module cache of `go`, without copying its zips'), bind)
  add('verify', 'hash everything that is held again').action(
    bind<FlagTexts>(async () => (await import('./commands/verify.ts')).verify),
  )
  add('gc', 'remove the longest unused zips, down to a size')
    .addOption(flagOf('config'))
    .option('--to <SIZE>', 'the size for this time (default: the configured --max-size)')
    .option('--dry-run', 'print what would be removed, and remove nothing')
    .action(bind<FlagTexts>(async () => (await import('./commands/gc.ts')).gc))
  add('pin', 'keep module versions whatever the size; alone it lists the pins')
    .argument('[names...]', 'PATH@VERSION, or a path or glob as in GOPRIVATE')
    .option('--for <GO.SUM...>', 'all zips that these go.sum files, or those in folders, name')
    .option('--name <NAME>', 'the name of these pins, and of no others (default: the path)')
    .action(withNames(bind(async () => (await import('./commands/pin.ts')).pin)))
  add('unpin', 'end pins')
    .argument('[names...]', 'as they were pinned')
    .option('--name <NAME>', 'those of a project, by the name that `pin --for` gave them')
    .action(withNames(bind(async () => (await import('./commands/pin.ts')).unpin)))
  add('accept', 'take a private version that changed since it was first seen; alone it lists those')
    .argument('[names...]', 'PATH@VERSION')
    .action(withNames(bind(async () => (await import('./commands/accept.ts')).accept)))
}

function addAdopt(adopt: Command, bind: Bind): void {
  const run = bind<FlagTexts & { readonly cache?: string }>(
    async () => (await import('./commands/adopt.ts')).adopt,
  )
  adopt
    .argument('[gomodcache]', 'the cache (default: what `go env GOMODCACHE` says)')
    .addOption(flagOf('config'))
    .option('--for <GO.SUM...>', 'go.sum files, or folders with one, whose hashes are believed')
    .option('--watch', 'keep following the cache')
    .action((cache: string | undefined, flags: FlagTexts) =>
      run(cache === undefined ? flags : { ...flags, cache }),
    )
}

/** Gives a command its arguments among the flags. */
function withNames(
  run: (flags: FlagTexts & { readonly names: readonly string[] }) => Promise<void>,
): (names: readonly string[], flags: FlagTexts) => Promise<void> {
  return (names, flags) => run({ ...flags, names })
}

function allCommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(allCommands)]
}

/** Usage errors are thrown instead of printed, so that one place decides how errors look. */
function quiet(command: Command): void {
  command.exitOverride()
  command.configureOutput({ writeErr: () => undefined, outputError: () => undefined })
  command.allowExcessArguments(false)
  command.helpOption('--help', 'print this help')
  command.configureHelp({ optionDescription: (option) => option.description })
}

function checkCommandName(program: Command, first: string | undefined): void {
  if (first === undefined || first.startsWith('-')) return
  const names = ['help', ...program.commands.map((command) => command.name())]
  if (names.includes(first)) return
  const meant = closestWord(first, names)
  const hint = meant === undefined ? 'see: modmesh --help' : `did you mean "${meant}"?`
  throw new UsageError(`unknown command ${JSON.stringify(first)}; ${hint}`)
}

/** Without the mark nobody could tell our flags from those of the command. */
function checkRunArguments(args: readonly string[]): void {
  if (args[0] !== 'run' || args.includes('--') || args.includes('--help')) return
  throw new UsageError('say what to run after two dashes: modmesh run -- go build ./...')
}

/** Go people type one dash: `-json` is taken for `--json` where such a long flag exists. */
function oneDashAsTwo(program: Command, args: readonly string[]): readonly string[] {
  const known = new Set(
    allCommands(program).flatMap((command) =>
      command.options.map((option) => option.long?.slice(2)),
    ),
  )
  known.add('help')
  const end = args.indexOf('--')
  return args.map((arg, i) => {
    const single = arg.startsWith('-') && !arg.startsWith('--') && (end < 0 || i < end)
    return single && known.has(arg.slice(1).split('=', 1)[0]) ? `-${arg}` : arg
  })
}

function reportError(error: unknown): ExitCode {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return exitCodes.done
    printError(error.message.replace('error: ', '').replaceAll('\n', ' '))
    return exitCodes.wrongUsage
  }
  printError(errorText(error))
  return error instanceof CommandError ? error.exitCode : exitCodes.failed
}

function printError(text: string): void {
  process.stderr.write(`modmesh: ${escapeInvisible(text)}\n`)
}

/** `modmesh status | head -1` ends without a stack trace. */
function endQuietlyOnClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    process.exit(exitCodes.done)
  })
}

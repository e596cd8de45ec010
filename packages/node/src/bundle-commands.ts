import type { Command } from 'commander'
import { type Bind, flagOf } from './command-parts.ts'
import { commandHelp } from './help-texts.ts'
import type { FlagTexts } from './read-options.ts'

/** Adds what carries modules between sites without a link. */
export function addBundleCommands(program: Command, bind: Bind): void {
  const add = (name: 'export' | 'import', summary: string): Command =>
    program
      .command(name)
      .summary(summary)
      .description(commandHelp[name])
      .addOption(flagOf('dir'))
      .addOption(flagOf('config'))
      .addOption(flagOf('sumdb'))
      .addOption(flagOf('private'))
      .option('--json', 'print one JSON object')
  const runExport = bind<FlagTexts & { readonly names: readonly string[] }>(
    async () => (await import('./commands/export.ts')).exportBundle,
  )
  add('export', 'write a bundle: modules with all their proofs, for a site without a link')
    .argument('[names...]', 'PATH@VERSION of what to take, beside what --for needs')
    .option('--for <FILES...>', 'go.sum, go.mod or go.work files, folders with some, - for stdin')
    .option('--all', 'everything that is held')
    .option('-o, --output <FILE>', 'the bundle, - for stdout')
    .option('--tree <DIR>', 'a tree for GOPROXY=file://DIR in place of a bundle')
    .option('--since <BUNDLE>', 'leave out what an earlier bundle has')
    .option(
      '--recipient <KEY>',
      'encrypt the bundle to an age key (age1...); again for more',
      together,
    )
    .option('--identity <FILE>', 'age keys that open the earlier bundle')
    .option(
      '--toolchains [PLATFORMS]',
      'also the Go that they name, for this platform or linux-amd64,…',
    )
    .option('--plan', 'write nothing: say what is missing, and the size')
    .option('--public-only', 'leave out what the checksum database does not prove')
    .option(
      '--tree-size <N>',
      'a tree that clients of the site, or the site, have seen; again for more',
      together,
    )
    .action((names: readonly string[], flags: FlagTexts) => runExport({ ...flags, names }))
  const runImport = bind<FlagTexts & { readonly file: string }>(
    async () => (await import('./commands/import.ts')).importBundle,
  )
  add('import', 'take a bundle in; everything in it is verified')
    .argument('<file>', 'the bundle, - for stdin')
    .option(
      '--signer <PEER>',
      'whose bundles to believe from now on, by peer id; again for more',
      together,
    )
    .option('--identity <FILE>', 'age keys that open an encrypted bundle')
    .option('--any-order', 'also a bundle older than one that came in, or without its base')
    .option('--plan', 'take nothing: say what is lacking here, and whether it would be believed')
    .action((file: string, flags: FlagTexts) => runImport({ ...flags, file }))
}

/** Gathers what a flag is given several times. */
function together(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text]
}

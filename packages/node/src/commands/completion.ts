import { type ExitCode, exitCodes } from '../exit-codes.ts'

/** A command as completion knows it. */
export interface CompletedCommand {
  /** With those it is below of: `root export`. */
  readonly name: string
  readonly summary: string
  readonly flags: readonly {
    readonly name: string
    readonly help: string
    readonly takesValue: boolean
  }[]
}

export type CompletionShell = 'bash' | 'zsh' | 'fish'

/** `modmesh completion`: prints what a shell needs to complete commands and flags. */
export function completion(
  shell: CompletionShell,
  commands: readonly CompletedCommand[],
): ExitCode {
  process.stdout.write(scripts[shell](commands))
  return exitCodes.done
}

const scripts: Readonly<
  Record<CompletionShell, (commands: readonly CompletedCommand[]) => string>
> = { bash: bashScript, zsh: zshScript, fish: fishScript }

function flagsOf({ flags }: CompletedCommand): string {
  return flags.map(({ name }) => name).join(' ')
}

/** Words that may come first, or after the name of a group such as `root`. */
function nextWords(commands: readonly CompletedCommand[], group: string): string {
  const prefix = group === '' ? '' : `${group} `
  const below = commands.filter(({ name }) => name.startsWith(prefix))
  const words = below.map(({ name }) => name.slice(prefix.length)).filter((name) => name !== '')
  return words.filter((word) => !word.includes(' ')).join(' ')
}

function groupsOf(commands: readonly CompletedCommand[]): readonly string[] {
  const groups = commands.flatMap(({ name }) =>
    name.includes(' ') ? [name.split(' ', 1)[0] ?? ''] : [],
  )
  return [...new Set(groups)]
}

function bashScript(commands: readonly CompletedCommand[]): string {
  const cases = commands.map((command) => `    '${command.name}') flags='${flagsOf(command)}' ;;\n`)
  const groups = groupsOf(commands).map(
    (group) => `    '${group}') words='${nextWords(commands, group)}' ;;\n`,
  )
  return `# bash completion of modmesh; in ~/.bashrc: eval "$(modmesh completion bash)"
_modmesh() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="\${COMP_WORDS[1]}" flags='' words=''
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${nextWords(commands, '')} help' -- "$current"))
    return
  fi
  case "$command" in
${groups.join('')}  esac
  if [ -n "$words" ] && [ "$COMP_CWORD" -eq 2 ]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  [ -n "$words" ] && command="$command \${COMP_WORDS[2]}"
  case "$command" in
${cases.join('')}  esac
  case "$current" in
    -*) COMPREPLY=($(compgen -W "$flags --help" -- "$current")) ;;
    *) COMPREPLY=($(compgen -f -- "$current")) ;;
  esac
}
complete -o filenames -F _modmesh modmesh
`
}

function zshScript(commands: readonly CompletedCommand[]): string {
  const named = commands.filter(({ name }) => !name.includes(' '))
  const words = named.map(({ name, summary }) => `    ${quote(`${name}:${summary}`)}\n`)
  const cases = commands.map((command) => {
    const flags = command.flags.map(({ name, help, takesValue }) => {
      const text = help.replaceAll('[', '(').replaceAll(']', ')').replaceAll(':', ' ')
      return quote(`${name}${takesValue ? '=' : ''}[${text}]${takesValue ? ':value:_files' : ''}`)
    })
    const specs = [...flags, quote('*:file:_files')].join(' ')
    return `    ${quote(command.name)}) _arguments -S ${specs} ;;\n`
  })
  const groups = groupsOf(commands).map((group) => {
    const next = nextWords(commands, group)
    return `    ${group}) if (( CURRENT == 3 )); then compadd ${next}; return; fi; command="${group} $words[3]" ;;\n`
  })
  return `#compdef modmesh
# zsh completion of modmesh; in ~/.zshrc, after compinit: eval "$(modmesh completion zsh)"
_modmesh() {
  local -a commands=(
${words.join('')}  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  local command="$words[2]"
  case "$command" in
${groups.join('')}  esac
  case "$command" in
${cases.join('')}  esac
}
compdef _modmesh modmesh
`
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap((command) => {
    const [first = '', second] = command.name.split(' ')
    const seen =
      second === undefined ? first : `${first}; and __fish_seen_subcommand_from ${second}`
    const at =
      second === undefined ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${first}`
    const self = `complete -c modmesh -f -n ${quote(at)} -a ${second ?? first} -d ${quote(command.summary)}`
    const flags = command.flags.map(({ name, help, takesValue }) => {
      const condition = quote(`__fish_seen_subcommand_from ${seen}`)
      const value = takesValue ? ' -r' : ''
      return `complete -c modmesh -n ${condition} -l ${name.slice(2)}${value} -d ${quote(help)}`
    })
    return [self, ...flags]
  })
  return `# fish completion of modmesh: modmesh completion fish > ~/.config/fish/completions/modmesh.fish\n${lines.join('\n')}\n`
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

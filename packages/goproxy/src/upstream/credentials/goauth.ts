import { isAbsolute } from 'node:path'
import { InvalidGoauthError } from '../../errors.ts'

/** One way to credentials (`go help goauth`). */
export type CredentialCommand =
  /** A netrc file; without `file` the one of the NETRC variable or the home directory. */
  | { readonly kind: 'netrc'; readonly file: string | undefined }
  /** `git credential fill` in a directory. */
  | { readonly kind: 'git'; readonly dir: string }
  | { readonly kind: 'program'; readonly argv: readonly [string, ...string[]] }

/**
 * Parses GOAUTH syntax: `off`, or `netrc`, `git DIR` and commands separated by `;`, the first being preferred;
 * `netrc FILE` is ours. Throws InvalidGoauthError that repeats no word but ours: an argument may be a secret.
 */
export function parseGoauth(text: string): readonly CredentialCommand[] {
  const commands = text.split(';').map((part) => splitQuoted(part))
  if (commands.length === 1 && commands[0]?.join(' ') === 'off') return []
  return commands.map(parseCommand)
}

function parseCommand([name, ...rest]: readonly string[]): CredentialCommand {
  if (name === undefined) throw new InvalidGoauthError('a command is empty')
  if (name === 'off') throw new InvalidGoauthError('off cannot be combined with other commands')
  if (name === 'netrc') {
    if (rest.length > 1) throw new InvalidGoauthError('netrc takes at most one file')
    return { kind: 'netrc', file: absolute(rest[0], 'netrc takes the absolute path of a file') }
  }
  if (name !== 'git') return { kind: 'program', argv: [name, ...rest] }
  const dir = absolute(rest[0], 'git takes the absolute path of a directory')
  if (dir === undefined || rest.length > 1) {
    throw new InvalidGoauthError('git takes the absolute path of a directory')
  }
  return { kind: 'git', dir }
}

function absolute(path: string | undefined, allowed: string): string | undefined {
  if (path === undefined || isAbsolute(path)) return path
  throw new InvalidGoauthError(allowed)
}

/** As cmd/internal/quoted: words are separated by spaces, or wholly within one pair of quotes. */
function splitQuoted(text: string): readonly string[] {
  const words: string[] = []
  let at = 0
  while (at < text.length) {
    const char = text[at] ?? ''
    if (isSpace(char)) {
      at++
      continue
    }
    const quoted = char === '"' || char === "'"
    const start = quoted ? at + 1 : at
    let end = start
    while (end < text.length && (quoted ? text[end] !== char : !isSpace(text[end] ?? ''))) end++
    if (quoted && end === text.length) throw new InvalidGoauthError('a quote does not end')
    words.push(text.slice(start, end))
    at = end + 1
  }
  return words
}

function isSpace(char: string): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r'
}

import { InvalidFileError } from './errors.ts'
import { findReplacement, type Replacement } from './go-mod.ts'
import { type Directive, parseGoModSyntax } from './go-mod-syntax.ts'
import { unquoteToken } from './go-quote.ts'
import { isGoVersion } from './go-version.ts'
import { maxModBytes } from './limits.ts'

/** What a go.work says. */
export interface GoWork {
  readonly go: string | undefined
  readonly toolchain: string | undefined
  /** Folders of main modules, absolute or relative to the go.work. */
  readonly use: readonly string[]
  readonly replace: readonly Replacement[]
}

/**
 * Reads a go.work (at most maxModBytes) as x/mod modfile.ParseWork does, but skips unknown directives, which a later
 * Go may bring. Throws InvalidFileError.
 */
export function parseGoWork(bytes: Uint8Array): GoWork {
  if (bytes.length > maxModBytes) throw new InvalidFileError('go.work', 'too large')
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes)
  const draft = new Draft()
  for (const directive of readSyntax(text)) readDirective(draft, directive)
  return draft
}

/** A go.work while it is read. */
class Draft implements GoWork {
  go: string | undefined
  toolchain: string | undefined
  readonly use: string[] = []
  readonly replace: Replacement[] = []
}

/** The two share their syntax; an error names the file that was read. */
function readSyntax(text: string): readonly Directive[] {
  try {
    return parseGoModSyntax(text)
  } catch (cause) {
    if (!(cause instanceof InvalidFileError)) throw cause
    throw Object.assign(new InvalidFileError('go.work', cause.reason, cause.line), { cause })
  }
}

function readDirective(draft: Draft, directive: Directive): void {
  switch (directive.verb) {
    case 'go':
      return readGo(draft, directive)
    case 'toolchain':
      draft.toolchain = singleArgument(directive)
      return
    case 'use':
      draft.use.push(singleArgument(directive))
      return
    case 'replace':
      draft.replace.push(readReplace(directive))
  }
}

function readGo(draft: Draft, directive: Directive): void {
  if (draft.go !== undefined) throw broken(directive, 'repeated go statement')
  const version = singleArgument(directive)
  if (!isGoVersion(version)) throw broken(directive, 'invalid go version')
  draft.go = version
}

function readReplace(directive: Directive): Replacement {
  const replacement = findReplacement(directive.args)
  if (replacement === undefined) throw broken(directive, 'invalid replacement')
  return replacement
}

function singleArgument(directive: Directive): string {
  const [token, ...more] = directive.args
  const text = token === undefined || more.length > 0 ? undefined : unquoteToken(token)
  if (text === undefined) throw broken(directive, 'expects exactly one argument')
  return text
}

function broken(directive: Directive, reason: string): InvalidFileError {
  return new InvalidFileError('go.work', `${directive.verb}: ${reason}`, directive.line)
}

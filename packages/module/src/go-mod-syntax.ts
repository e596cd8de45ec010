import { InvalidFileError } from './errors.ts'
import { type GoModLine, scanGoMod } from './go-mod-line.ts'

/** One directive of a go.mod, freed from its block. */
export interface Directive {
  readonly line: number
  readonly verb: string
  readonly args: readonly string[]
  /** The comment at the end of its own line. */
  readonly suffix: string | undefined
  /** The comments that document it (its own, else its block's), a line each. */
  readonly comment: string
}

interface Block {
  readonly verb: string
  /** Its lines are skipped: more than one word before the parenthesis, or a verb that takes no block. */
  readonly isUnknown: boolean
  readonly line: number
  readonly before: readonly string[]
  hasLines: boolean
}

/** Parses the lines and blocks of a go.mod or go.work. Throws InvalidFileError where Go's parser does. */
export function parseGoModSyntax(text: string): Directive[] {
  const directives: Directive[] = []
  let block: Block | undefined
  let before: string[] = []
  for (const line of scanGoMod(text)) {
    if (line.tokens.length === 0) {
      before = extendComments(before, line, block)
    } else if (block === undefined) {
      block = openBlock(line, before)
      if (block === undefined && !isEmptyBlock(line)) directives.push(topDirective(line, before))
      before = []
    } else if (line.tokens[0] === ')') {
      if (line.tokens.length > 1) throw broken('expected newline after closing paren', line.number)
      block = undefined
      before = []
    } else {
      if (!block.isUnknown) directives.push(blockDirective(line, before, block))
      block.hasLines = true
      before = []
    }
  }
  if (block !== undefined) throw broken('unterminated block', block.line)
  return directives
}

/** A blank line is kept as undocumented space inside a block, and parts comments from what follows elsewhere. */
function extendComments(before: string[], line: GoModLine, block: Block | undefined): string[] {
  if (line.comment !== undefined) {
    before.push(`//${line.comment}`)
    return before
  }
  if (block === undefined) return []
  const last = before.at(-1)
  if (last === undefined ? block.hasLines : last !== '') before.push('')
  return before
}

function openBlock(line: GoModLine, before: readonly string[]): Block | undefined {
  const { tokens, number } = line
  const [verb, ...rest] = tokens
  if (verb === undefined || rest.at(-1) !== '(') return undefined
  const isUnknown = rest.length > 1 || !blockVerbs.has(verb)
  return { verb, isUnknown, line: number, before, hasLines: false }
}

/** Of these we act on some; `go` and `toolchain` are missing because Go skips their blocks. */
const blockVerbs = new Set([
  'module',
  'require',
  'exclude',
  'replace',
  'retract',
  'ignore',
  'use', // of a go.work; in a go.mod nobody asks for it
])

function isEmptyBlock({ tokens }: GoModLine): boolean {
  return tokens.length > 2 && tokens.at(-2) === '(' && tokens.at(-1) === ')'
}

function topDirective(line: GoModLine, before: readonly string[]): Directive {
  const [verb = '', ...args] = line.tokens
  const comment = joinComments(before, line.comment)
  return { line: line.number, verb, args, suffix: line.comment, comment }
}

function blockDirective(line: GoModLine, before: readonly string[], block: Block): Directive {
  const isBare = before.length === 0 && line.comment === undefined
  const comment = isBare
    ? joinComments(block.before, undefined)
    : joinComments(before, line.comment)
  const { verb } = block
  return { line: line.number, verb, args: line.tokens, suffix: line.comment, comment }
}

function joinComments(before: readonly string[], suffix: string | undefined): string {
  const lines = before.filter((line) => line !== '').map((line) => line.slice(2))
  return [...lines, ...(suffix === undefined ? [] : [suffix])].join('\n')
}

function broken(reason: string, line: number): InvalidFileError {
  return new InvalidFileError('go.mod', reason, line)
}

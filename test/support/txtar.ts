/** One file of a txtar archive. */
interface TxtarFile {
  readonly name: string
  readonly text: string
}

/** A txtar archive (golang.org/x/tools/txtar): a comment and named text files. */
export interface Txtar {
  readonly comment: string
  readonly files: readonly TxtarFile[]
}

/** Parses a txtar archive; a text without markers is all comment. */
export function parseTxtar(text: string): Txtar {
  const sections: { name: string; lines: string[] }[] = [{ name: '', lines: [] }]
  for (const line of splitLines(text)) {
    const name = parseMarker(line)
    if (name === undefined) sections.at(-1)?.lines.push(line)
    else sections.push({ name, lines: [] })
  }
  const [comment, ...files] = sections.map(({ name, lines }) => ({ name, text: lines.join('') }))
  return { comment: comment?.text ?? '', files }
}

/** Lines with their line feed; a last line without one is given it, as txtar does. */
function splitLines(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines.map((line) => `${line}\n`)
}

function parseMarker(line: string): string | undefined {
  const text = line.trimEnd()
  if (!text.startsWith('-- ') || !text.endsWith(' --') || text.length < 7) return undefined
  return text.slice(3, -3).trim() || undefined
}

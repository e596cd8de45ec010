import {
  InvalidFileError,
  type ModuleVersion,
  maxSumBytes,
  parsePathAtVersion,
} from '@modmesh/module'

/** What a project file is; `versions` has a line `path@version` for each module version. */
export type ProjectFileKind = 'go.mod' | 'go.sum' | 'go.work' | 'modules.txt' | 'versions'

/** A file that says which modules a project needs. */
export interface ProjectFile {
  readonly kind: ProjectFileKind
  /** With slashes, absolute or relative. `x.mod` and `x.sum` of a folder belong together, and `go.work` and `go.work.sum`. */
  readonly path: string
  readonly bytes: Uint8Array
}

/** Finds the kind of a file by its name, or undefined. */
export function kindOfName(path: string): ProjectFileKind | undefined {
  if (path.endsWith('vendor/modules.txt')) return 'modules.txt'
  const name = path.slice(path.lastIndexOf('/') + 1)
  if (name === 'go.work') return 'go.work'
  if (name.endsWith('.mod')) return 'go.mod'
  return name.endsWith('.sum') ? 'go.sum' : undefined
}

/** Guesses the kind of a file by its first line that says something; `versions` when nothing else fits. */
export function kindOfText(bytes: Uint8Array): ProjectFileKind {
  const head = new TextDecoder().decode(bytes.subarray(0, sniffedBytes))
  let kind: ProjectFileKind | undefined
  for (const line of head.split('\n')) {
    const words = line.trim().replaceAll('\t', ' ').split(' ')
    if (words[0] === '' || words[0]?.startsWith('//')) continue
    kind ??= kindOfLine(words)
    // `go` opens both, so what follows decides.
    if (kind === 'go.mod' && words[0]?.startsWith('use') === true) return 'go.work'
  }
  return kind ?? 'versions'
}

/** The module versions of a list: one a line; blank lines and lines that begin with `#` or `//` are skipped. */
export function parseVersions({ path, bytes }: ProjectFile): readonly ModuleVersion[] {
  if (bytes.length > maxSumBytes) throw new InvalidFileError(path, 'too large')
  const modules: ModuleVersion[] = []
  for (const [i, line] of new TextDecoder().decode(bytes).split('\n').entries()) {
    const text = line.trim()
    if (text === '' || text.startsWith('#') || text.startsWith('//')) continue
    try {
      modules.push(parsePathAtVersion(text))
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause)
      throw Object.assign(new InvalidFileError(path, reason, i + 1), { cause })
    }
  }
  return modules
}

/** The comment at the top of a go.mod may be long. Bytes. */
const sniffedBytes = 64 << 10

const goModVerbs = new Set([
  'module',
  'go',
  'toolchain',
  'require',
  'exclude',
  'replace',
  'retract',
])

function kindOfLine(words: readonly string[]): ProjectFileKind {
  const [first = ''] = words
  if (words.at(-1)?.startsWith('h1:') === true) return 'go.sum'
  if (first === '#' || first === '##') return 'modules.txt'
  return goModVerbs.has(first) || first === 'use' ? 'go.mod' : 'versions'
}

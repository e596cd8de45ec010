import type { Origin } from './folders.ts'

/** What `go list -m -json` and `go mod download -json` say of one module. Absent fields are undefined. */
export interface GoModule {
  readonly path: string
  readonly version: string | undefined
  readonly query: string | undefined
  readonly versions: readonly string[]
  readonly goMod: string | undefined
  readonly info: string | undefined
  readonly zip: string | undefined
  readonly error: string | undefined
  readonly origin: Origin | undefined
}

/** Reads the objects that go wrote one behind the other. What does not parse is left out. */
export function parseGoModules(output: string): readonly GoModule[] {
  const modules: GoModule[] = []
  for (const text of splitObjects(output)) {
    const fields = parseObject(text)
    if (fields !== undefined) modules.push(toModule(fields))
  }
  return modules
}

type Fields = Readonly<Record<string, unknown>>

function toModule(fields: Fields): GoModule {
  return {
    path: textOf(fields, 'Path') ?? '',
    version: textOf(fields, 'Version'),
    query: textOf(fields, 'Query'),
    versions: Array.isArray(fields['Versions'])
      ? fields['Versions'].filter((version) => typeof version === 'string')
      : [],
    goMod: textOf(fields, 'GoMod'),
    info: textOf(fields, 'Info'),
    zip: textOf(fields, 'Zip'),
    error: errorOf(fields['Error']),
    origin: originOf(fields['Origin']),
  }
}

/** `go list` has an object there, `go mod download` a text. */
function errorOf(error: unknown): string | undefined {
  if (typeof error === 'string') return error
  return isFields(error) ? (textOf(error, 'Err') ?? 'unknown error') : undefined
}

function originOf(origin: unknown): Origin | undefined {
  if (!isFields(origin)) return undefined
  const vcs = textOf(origin, 'VCS')
  const url = textOf(origin, 'URL')
  return vcs === undefined || url === undefined ? undefined : { vcs, url }
}

function textOf(fields: Fields, name: string): string | undefined {
  const value = fields[name]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function parseObject(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isFields(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** go indents its objects, so that only their own braces stand at the start of a line. */
function* splitObjects(output: string): Generator<string> {
  let start = output.startsWith('{') ? 0 : output.indexOf('\n{') + 1
  while (output[start] === '{') {
    const end = output.indexOf('\n}', start)
    if (end < 0) return
    yield output.slice(start, end + 2)
    start = output.indexOf('\n{', end) + 1
    if (start === 0) return
  }
}

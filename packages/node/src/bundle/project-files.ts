import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { closeProject, kindOfName, kindOfText, type ProjectFile } from '@modmesh/fill'
import { errorCode, UsageError } from '../errors.ts'
import type { WireFile } from './wish.ts'

/** Folders that hold no projects of their own. */
const passedOver = new Set(['node_modules', 'testdata', '.git'])

/**
 * Reads project files, folders (with all below them) and `-` for standard input, and what goes with them: a go.sum's
 * go.mod, and the files of local replacements. Throws UsageError for what is not there.
 */
export async function readProjectFiles(
  names: readonly string[],
  { signal }: { readonly signal: AbortSignal },
): Promise<readonly WireFile[]> {
  const found = new Map<string, ProjectFile>()
  for (const name of names) {
    if (name === '-') add(found, await readStdin())
    else await addPath(found, resolve(name))
  }
  const local = await localFiles(found, signal)
  return [
    ...[...found.values()].map((file) => wireFile(file, false)),
    ...local.map((file) => wireFile(file, true)),
  ]
}

function wireFile({ kind, path, bytes }: ProjectFile, isLocal: boolean): WireFile {
  return { kind, path, base64: Buffer.from(bytes).toString('base64'), isLocal }
}

/** Module versions as a project file that lists them. */
export function listOfVersions(versions: readonly string[]): WireFile {
  const base64 = Buffer.from(`${versions.join('\n')}\n`).toString('base64')
  return { kind: 'versions', path: 'the command line', base64, isLocal: false }
}

async function readStdin(): Promise<ProjectFile> {
  const bytes = await buffer(process.stdin)
  return { kind: kindOfText(bytes), path: 'standard input', bytes }
}

async function addPath(found: Map<string, ProjectFile>, path: string): Promise<void> {
  const isFolder = (await statOrRefuse(path)).isDirectory()
  const files = isFolder ? await projectFilesBelow(path) : [path, ...companionsOf(path)]
  for (const [i, file] of files.entries()) {
    const bytes = await readIfThere(file)
    if (bytes === undefined) {
      if (!isFolder && i === 0) throw new UsageError(`${path}: cannot be read`)
      continue
    }
    add(found, { kind: kindOfName(file) ?? kindOfText(bytes), path: file, bytes })
  }
  if (isFolder && files.length === 0) throw new UsageError(`${path}: no go.mod or go.sum in it`)
}

function add(found: Map<string, ProjectFile>, file: ProjectFile): void {
  found.set(file.path, file)
}

async function statOrRefuse(path: string): ReturnType<typeof stat> {
  try {
    return await stat(path)
  } catch (error) {
    throw new UsageError(
      `${path}: ${errorCode(error) === 'ENOENT' ? 'there is no such file' : 'cannot be read'}`,
      {
        cause: error,
      },
    )
  }
}

/** `go` reads them together. */
function companionsOf(path: string): readonly string[] {
  const other = new Map([
    ['.sum', ['.mod']],
    ['.mod', ['.sum']],
  ])
  const folder = dirname(path)
  if (path.endsWith('go.work')) return [`${path}.sum`]
  if (path.endsWith('go.work.sum')) return [join(folder, 'go.work')]
  const extension = path.slice(-4)
  return (other.get(extension) ?? []).map((each) => path.slice(0, -4) + each)
}

async function projectFilesBelow(folder: string): Promise<readonly string[]> {
  const files: string[] = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory() && !passedOver.has(entry.name)) {
      files.push(...(await projectFilesBelow(path)))
    } else if (entry.isFile() && isProjectName(entry.name, path)) files.push(path)
  }
  return files.toSorted()
}

function isProjectName(name: string, path: string): boolean {
  return (
    ['go.mod', 'go.sum', 'go.work', 'go.work.sum'].includes(name) ||
    kindOfName(path) === 'modules.txt'
  )
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'EISDIR') return undefined
    throw error
  }
}

/** Reads what the files name on this host: whoever finds the closure may see other folders. */
async function localFiles(
  found: ReadonlyMap<string, ProjectFile>,
  signal: AbortSignal,
): Promise<readonly ProjectFile[]> {
  const local = async (path: string): Promise<Uint8Array | undefined> => {
    const bytes = found.get(path)?.bytes ?? (await readIfThere(path))
    const kind = kindOfName(path)
    if (bytes !== undefined && kind !== undefined) named.set(path, { kind, path, bytes })
    return bytes
  }
  const named = new Map<string, ProjectFile>()
  const mod = (): Promise<never> => Promise.reject(new Error('not asked'))
  await closeProject([...found.values()], { mod, local }, { signal })
  return [...named.values()].filter(({ path }) => !found.has(path))
}

import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { kindOfName, kindOfText, namedFiles, type ProjectFile } from '@modmesh/fill'
import { parsePathAtVersion } from '@modmesh/module'
import { CommandError, errorCode, errorText, UsageError } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { pathExists } from '../path-exists.ts'
import type { ProjectFiles } from './prefetch-request.ts'

/** Project files of one folder, at most: a monorepo has some hundred. */
const maxFiles = 10_000
/** A larger file is none of ours: a go.sum may have 16 MiB. Bytes. */
const maxFileBytes = 16 << 20
/** What `go` passes over, too; but for vendor/modules.txt. */
const skippedFolders = new Set(['node_modules', 'testdata', 'vendor'])

/**
 * Reads what a user names: files and folders (with all below), `-` for standard input, `PATH@VERSION`; nothing means
 * the nearest project upwards. Of a go.mod its go.sum is read, too, and the other way round, and what they name.
 * Throws CommandError.
 */
export async function readProjectFiles(
  names: readonly string[],
  cwd: string,
): Promise<ProjectFiles> {
  const reader = new Reader(cwd)
  const wanted = names.length > 0 ? names : [await nearestProject(cwd)]
  for (const name of wanted) await reader.add(name)
  await reader.addNamed()
  return reader
}

/** Finds the go.work, go.mod or go.sum that counts in a folder: there or above. Throws CommandError when there is none. */
async function nearestProject(cwd: string): Promise<string> {
  for (const wanted of [['go.work'], ['go.mod', 'go.sum']]) {
    for (let folder = resolve(cwd); ; folder = dirname(folder)) {
      for (const name of wanted) if (await pathExists(join(folder, name))) return join(folder, name)
      if (dirname(folder) === folder) break
    }
  }
  throw new UsageError(
    `no go.work, go.mod or go.sum in ${cwd} or above; name a file, a folder or PATH@VERSION`,
  )
}

/** One reading of what was named. */
class Reader implements ProjectFiles {
  readonly files: ProjectFile[] = []
  readonly locals = new Map<string, Uint8Array>()
  readonly #cwd: string
  readonly #seen = new Set<string>()

  constructor(cwd: string) {
    this.#cwd = cwd
  }

  async add(name: string): Promise<void> {
    if (name === '-') return this.#addBytes('-', await buffer(process.stdin))
    const path = resolve(this.#cwd, name)
    const found = await stat(path).catch(() => undefined) // what is wrong with it is said below
    if (found?.isDirectory() === true) return await this.#addFolder(path)
    if (found === undefined && name.includes('@')) return this.#addVersion(name)
    await this.#addFile(path)
  }

  /** What the files send `go` to, and what those name in turn. */
  async addNamed(): Promise<void> {
    const waiting = [...this.files]
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      for (const path of asUsersError(() => namedFiles(file as ProjectFile))) {
        if (this.#seen.has(path)) continue
        this.#seen.add(path)
        const bytes = await readIfThere(path)
        if (bytes === undefined) continue
        this.locals.set(path, bytes)
        waiting.push({ kind: kindOfName(path) ?? 'go.mod', path, bytes })
      }
    }
  }

  #addBytes(path: string, bytes: Uint8Array): void {
    this.files.push({ kind: kindOfName(path) ?? kindOfText(bytes), path, bytes })
  }

  #addVersion(name: string): void {
    asUsersError(() => parsePathAtVersion(name))
    this.files.push({ kind: 'versions', path: name, bytes: Buffer.from(name) })
  }

  async #addFile(path: string): Promise<void> {
    if (this.#seen.has(path)) return
    this.#seen.add(path)
    const bytes = await readIfThere(path)
    if (bytes === undefined) throw failed(`${path} does not exist`)
    this.#addBytes(path, bytes)
    await this.#addIfThere(partnerOf(path))
  }

  async #addIfThere(path: string | undefined): Promise<void> {
    if (path === undefined || this.#seen.has(path)) return
    const bytes = await readIfThere(path)
    if (bytes === undefined) return
    this.#seen.add(path)
    this.#addBytes(path, bytes)
  }

  async #addFolder(folder: string): Promise<void> {
    const before = this.files.length
    await this.#walk(folder)
    if (this.files.length > before) return
    throw failed(
      `${folder} has no go.mod, go.sum, go.work or vendor/modules.txt, nor a folder in it`,
    )
  }

  async #walk(folder: string): Promise<void> {
    for (const entry of await entriesOf(folder)) {
      const path = join(folder, entry.name)
      if (entry.isDirectory() && entry.name === 'vendor') {
        await this.#addIfThere(join(path, 'modules.txt'))
      } else if (entry.isDirectory()) {
        if (!isSkipped(path, entry.name)) await this.#walk(path)
      } else if (projectNames.has(entry.name)) await this.#addFile(path)
      if (this.files.length > maxFiles)
        throw failed(`more than ${maxFiles} project files in ${folder}`)
    }
  }
}

const projectNames = new Set(['go.mod', 'go.sum', 'go.work'])

/** The module cache itself is full of other people's go.mod files. */
function isSkipped(path: string, name: string): boolean {
  const isHidden = name.startsWith('.') || name.startsWith('_')
  return isHidden || skippedFolders.has(name) || path.endsWith('/pkg/mod')
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  } catch (error) {
    throw failed(`${folder} cannot be read: ${errorText(error)}`, error)
  }
}

function partnerOf(path: string): string | undefined {
  if (path.endsWith('.mod')) return `${path.slice(0, -4)}.sum`
  return path.endsWith('.sum') ? `${path.slice(0, -4)}.mod` : undefined
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    const { size } = await stat(path)
    if (size > maxFileBytes) throw failed(`${path} is too large for a project file`)
    return await readFile(path)
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined
    throw error instanceof CommandError
      ? error
      : failed(`${path} cannot be read: ${errorText(error)}`, error)
  }
}

/** What is wrong with a text is the user's to mend: no stack, no surprise. */
function asUsersError<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw failed(errorText(error), error)
  }
}

function failed(message: string, cause?: unknown): CommandError {
  return new CommandError(message, { exitCode: exitCodes.failed, cause })
}

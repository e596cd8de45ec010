import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { moduleCacheOf } from './child-env.ts'
import { maxCloneBytes } from './limits.ts'

/** Where the children of `direct` work: everything they write is below one folder. */
export interface DirectFolders {
  readonly root: string
  /** The clones, in go's own layout (`cache/vcs`). The only thing that is kept. */
  readonly clones: string
  readonly gopath: string
  readonly gocache: string
  readonly tmp: string
  readonly telemetry: string
  /** A folder for each run, removed when it ends. */
  readonly runs: string
  /** There while a process works here: left behind by one that was killed. */
  readonly inUse: string
}

/** Lays out the folder of `direct`. */
export function directFolders(root: string): DirectFolders {
  return {
    root,
    clones: join(root, 'vcs'),
    gopath: join(root, 'gopath'),
    gocache: join(root, 'gocache'),
    tmp: join(root, 'tmp'),
    telemetry: join(root, 'telemetry'),
    runs: join(root, 'runs'),
    inUse: join(root, 'in-use'),
  }
}

/** Makes the folders, and removes what a killed process left: unfinished runs, locks and half packs of git. */
export async function prepareFolders(folders: DirectFolders): Promise<void> {
  await Promise.all([folders.runs, folders.tmp].map((path) => remove(path)))
  for (const path of [folders.clones, folders.gopath, folders.gocache, folders.tmp]) {
    await mkdir(path, { recursive: true, mode: 0o700 })
  }
  await mkdir(folders.runs, { recursive: true, mode: 0o700 })
  await mkdir(folders.telemetry, { recursive: true, mode: 0o700 })
  await writeFile(join(folders.telemetry, 'mode'), 'off')
  const wasKilled = existsSync(folders.inUse)
  await writeFile(folders.inUse, '')
  if (!wasKilled) return
  for (const clone of await listClones(folders)) await removeLeftovers(clone)
}

/** Makes the folder of one run. Its go.mod keeps go from looking for one further up. */
export async function makeRunFolder(folders: DirectFolders): Promise<string> {
  const folder = await mkdtemp(join(folders.runs, 'r'))
  const cache = join(moduleCacheOf(folder), 'cache')
  await mkdir(cache, { recursive: true })
  await symlink(folders.clones, join(cache, 'vcs'))
  await writeFile(join(folder, 'go.mod'), 'module modmesh.invalid/direct\n')
  return folder
}

/** Removes a folder and all that is in it. The clones behind a link stay. */
export async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
}

/** What go says of where a module came from. */
export interface Origin {
  readonly vcs: string
  readonly url: string
}

/** The folder in which go keeps the clone of a repository (cmd/go codehost.WorkDir). */
export function cloneFolder(folders: DirectFolders, { vcs, url }: Origin): string {
  const kind = vcs === 'git' ? 'git3' : vcs
  return join(folders.clones, createHash('sha256').update(`${kind}:${url}`).digest('hex'))
}

/** Takes note that a clone was used: git itself changes nothing when it only reads. */
export async function noteUse(folders: DirectFolders, origin: Origin): Promise<void> {
  const now = new Date()
  await utimes(cloneFolder(folders, origin), now, now).catch(() => {}) // another kind of clone, or gone
}

/** The folders of the clones that are kept. */
export async function listClones(folders: DirectFolders): Promise<readonly string[]> {
  const names = await readdir(folders.clones)
  // Beside each lie its .lock and .info.
  return names.filter((name) => !name.includes('.')).map((name) => join(folders.clones, name))
}

/** Removes the clones used least recently until the rest fits. Nothing may run meanwhile. */
export async function tidyClones(
  folders: DirectFolders,
  maxBytes: number = maxCloneBytes,
): Promise<void> {
  const paths = await listClones(folders)
  const clones = await Promise.all(
    paths.map(async (path) => ({
      path,
      bytes: await sizeOf(path),
      usedMs: (await stat(path)).mtimeMs,
    })),
  )
  let total = clones.reduce((sum, { bytes }) => sum + bytes, 0)
  // The newest one stays even when it alone is too much: it would only be fetched again.
  for (const clone of clones.toSorted((a, b) => a.usedMs - b.usedMs).slice(0, -1)) {
    if (total <= maxBytes) return
    for (const suffix of ['', '.info', '.lock']) await remove(`${clone.path}${suffix}`)
    total -= clone.bytes
  }
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size
  }
  return bytes
}

async function removeLeftovers(clone: string): Promise<void> {
  const entries = await readdir(clone, { recursive: true, withFileTypes: true })
  for (const { name, parentPath } of entries) {
    const isLeftover = name.endsWith('.lock') || name.startsWith('tmp_')
    if (isLeftover) await remove(join(parentPath, name))
  }
}

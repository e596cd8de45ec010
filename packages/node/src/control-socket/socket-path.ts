import { createHash } from 'node:crypto'
import { lstat, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CommandError, errorCode } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'

/** Socket paths have room for 107 bytes on Linux and 103 on macOS (sockaddr_un). */
const maxSocketPathBytes = 100

/** The folder of the control socket. */
function runDir(dir: string): string {
  return join(dir, 'run')
}

/** Where the socket file lies. */
export function socketFile(dir: string): string {
  return join(runDir(dir), 'control.sock')
}

function linkNameFile(dir: string): string {
  return join(runDir(dir), 'short-path')
}

/** Makes `<dir>/run` and returns a path short enough to bind: the socket's own, or one through a short link. */
export async function prepareSocketPath(dir: string): Promise<string> {
  await mkdir(runDir(dir), { recursive: true, mode: 0o700 })
  const path = socketFile(dir)
  if (Buffer.byteLength(path) <= maxSocketPathBytes) return path
  const link = await makeShortLink(dir)
  await writeFile(linkNameFile(dir), `${link}\n`, { mode: 0o600 })
  return join(link, 'control.sock')
}

/** The path that a client connects to: as `prepareSocketPath` left it. */
export async function findSocketPath(dir: string): Promise<string> {
  const path = socketFile(dir)
  if (Buffer.byteLength(path) <= maxSocketPathBytes) return path
  try {
    const link = (await readFile(linkNameFile(dir), 'utf8')).trim()
    return join(link, 'control.sock')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return path
    throw error
  }
}

/** Removes the short link, if there is one. */
export async function removeShortLink(dir: string): Promise<void> {
  if (Buffer.byteLength(socketFile(dir)) <= maxSocketPathBytes) return
  await rm(shortLink(dir), { force: true })
}

function shortLink(dir: string): string {
  const base = process.env.XDG_RUNTIME_DIR || tmpdir()
  const id = createHash('sha256').update(dir).digest('hex').slice(0, 16)
  return join(base, `modmesh-${id}`)
}

/** The link is made anew each time: whatever lay there before, another user's included, is not followed. */
async function makeShortLink(dir: string): Promise<string> {
  const link = shortLink(dir)
  const old = await lstat(link).catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  })
  if (old !== undefined && !old.isSymbolicLink()) {
    throw new CommandError(`${link} is in the way of the control socket's short link; remove it`, {
      exitCode: exitCodes.failed,
    })
  }
  await rm(link, { force: true })
  await symlink(runDir(dir), link)
  return link
}

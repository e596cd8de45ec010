import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openTreeHead, SumdbUntrustedError, type VerifierKey } from '@modmesh/sumdb'
import { errorCode } from './errors.ts'
import type { Surroundings } from './settings.ts'

/** A signed note is below 1 KiB; go itself reads at most a megabyte. Bytes. */
const maxNoteFileBytes = 64 * 1024

/**
 * Finds the tree sizes that `go` commands of this user have seen of a database: clients come with
 * these heads and ask for tiles at their edge (design, section 5, Tree heads and tiles).
 */
export async function findClientHeads(
  key: VerifierKey,
  around: Pick<Surroundings, 'env' | 'home'>,
): Promise<readonly number[]> {
  const sizes = new Set<number>()
  for (const folder of goPaths(around)) {
    const size = await readHeadSize(join(folder, 'pkg', 'sumdb', key.name, 'latest'), key)
    if (size !== undefined && size > 0) sizes.add(size)
  }
  return [...sizes]
}

/** GOPATH as go reads it, `go env -w` left aside. */
function goPaths({ env, home }: Pick<Surroundings, 'env' | 'home'>): readonly string[] {
  const given = (env.GOPATH ?? '').split(':').filter((path) => path !== '')
  return given.length > 0 ? given : [join(home, 'go')]
}

async function readHeadSize(path: string, key: VerifierKey): Promise<number | undefined> {
  try {
    const bytes = await readFile(path)
    if (bytes.length === 0 || bytes.length > maxNoteFileBytes) return undefined
    return openTreeHead(bytes.toString('utf8'), key).size
  } catch (error) {
    // Another program's file, in whatever state: a note that does not verify is no client's head.
    if (error instanceof SumdbUntrustedError || errorCode(error) !== undefined) return undefined
    throw error
  }
}

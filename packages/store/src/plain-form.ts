import { createHash, type Hash } from 'node:crypto'
import type { Disk, DiskFile } from './disk.ts'
import { StoreWriteError } from './errors.ts'
import { pieceBytes } from './limits.ts'
import type { RewritePart } from './zip-rewrite.ts'

/** A zip in its plain form, beside the one it was made of. */
export interface PlainForm {
  readonly file: DiskFile
  readonly path: string
  readonly sha: Hash
  readonly size: number
}

/** Writes the plain form of a zip beside it. Throws StoreWriteError, and leaves nothing then. */
export async function writePlainForm(
  disk: Disk,
  staged: { readonly file: DiskFile; readonly path: string },
  parts: readonly RewritePart[],
): Promise<PlainForm> {
  const path = `${staged.path}.plain`
  const file = await disk.open(path, 'create')
  const sha = createHash('sha256')
  let size = 0
  try {
    for await (const piece of piecesOf(staged.file, parts)) {
      await file.write(piece, size)
      sha.update(piece)
      size += piece.length
    }
    return { file, path, sha, size }
  } catch (error) {
    await file.close()
    await disk.remove(path)
    throw new StoreWriteError('a zip', error)
  }
}

/** The bytes of a rewritten zip, small parts joined so that each write is worth its call. */
async function* piecesOf(
  source: DiskFile,
  parts: readonly RewritePart[],
): AsyncGenerator<Uint8Array> {
  const joined = Buffer.allocUnsafeSlow(pieceBytes)
  let filled = 0
  for (const part of parts) {
    const length = part.kind === 'bytes' ? part.bytes.length : part.end - part.start
    for (let done = 0; done < length; ) {
      const room = joined.subarray(filled, filled + Math.min(pieceBytes - filled, length - done))
      if (part.kind === 'bytes') room.set(part.bytes.subarray(done, done + room.length))
      else await readFully(source, room, part.start + done)
      done += room.length
      filled += room.length
      if (filled === pieceBytes) {
        yield joined
        filled = 0
      }
    }
  }
  yield joined.subarray(0, filled)
}

/** Fills `into` from a position of a file. Throws when the file ends before. */
export async function readFully(source: DiskFile, into: Buffer, position: number): Promise<void> {
  for (let done = 0; done < into.length; ) {
    const bytesRead = await source.read(into.subarray(done), position + done)
    if (bytesRead === 0) throw new Error('the staged zip became shorter')
    done += bytesRead
  }
}

import { type FileHandle, open } from 'node:fs/promises'

/** A bundle is read in pieces of this size. Bytes. */
const pieceBytes: number = 1 << 20

/** A file as a command has it open: whoever finds another one under its path must not read that. */
export interface SeenFile {
  /** Absolute. */
  readonly path: string
  readonly dev: number
  readonly ino: number
}

/**
 * Opens a file that a command sees, for it to be read without a detour through the command; undefined where this
 * process sees another one, or none (another user, another container).
 */
export async function openSeenFile(seen: SeenFile): Promise<FileHandle | undefined> {
  const file = await open(seen.path, 'r').catch(() => undefined) // the command sends it then
  if (file === undefined) return undefined
  const { dev, ino } = await file.stat()
  if (dev === seen.dev && ino === seen.ino) return file
  await file.close()
  return undefined
}

/** Reads a file from the start; all pieces are in the same memory. */
export async function* piecesOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  const piece = Buffer.allocUnsafeSlow(pieceBytes)
  for (;;) {
    const { bytesRead } = await file.read(piece, 0, piece.length)
    if (bytesRead === 0) return
    yield piece.subarray(0, bytesRead)
  }
}

import { generateKeyPairSync } from 'node:crypto'
import { constants, type FileHandle, open, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CommandError, errorCode } from './errors.ts'
import { exitCodes } from './exit-codes.ts'

/** libp2p's protobuf of an Ed25519 private key: type 1, then 64 bytes of seed and public key. */
const keyHeader: Uint8Array = Uint8Array.of(0x08, 0x01, 0x12, 0x40)
const keyFileBytes = 68

/**
 * Reads the node's private key from `<dir>/identity.key`, making it at the first start. Refuses a
 * file that others can read. Returns libp2p's protobuf form.
 */
export async function openIdentity(dir: string): Promise<Uint8Array> {
  const path = join(dir, 'identity.key')
  const file = await openExisting(path)
  if (file === undefined) return await createIdentity(path)
  try {
    return await readIdentity(path, file)
  } finally {
    await file.close()
  }
}

/** A symbolic link is not followed: another user may have put it there. */
async function openExisting(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    if (errorCode(error) === 'ELOOP')
      throw refused(`${path} is a symbolic link; put the key itself there`)
    throw error
  }
}

async function readIdentity(path: string, file: FileHandle): Promise<Uint8Array> {
  const found = await file.stat()
  const self = process.geteuid?.() ?? found.uid
  if (found.uid !== self && self !== 0)
    throw refused(`${path} belongs to another user (uid ${found.uid})`)
  if ((found.mode & 0o077) !== 0) {
    throw refused(
      `${path} can be read by other users, and it is this node's identity; run: chmod 600 ${path}`,
    )
  }
  const bytes = new Uint8Array(await file.readFile())
  const begins = keyHeader.every((byte, i) => bytes[i] === byte)
  if (bytes.length !== keyFileBytes || !begins) {
    throw refused(`${path} is not an identity key; restore it, or remove it to become a new node`)
  }
  return bytes
}

async function createIdentity(path: string): Promise<Uint8Array> {
  const bytes = newIdentity()
  await writeKey(path, bytes)
  return bytes
}

/** Puts another key in place of the node's own; it counts from the next start on. */
export async function replaceIdentity(dir: string, bytes: Uint8Array): Promise<void> {
  await writeKey(join(dir, 'identity.key'), bytes)
}

async function writeKey(path: string, bytes: Uint8Array): Promise<void> {
  const fresh = `${path}.new`
  const file = await open(fresh, 'w', 0o600)
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(fresh, path)
  await syncFolder(dirname(path))
}

/** Makes a new private key, in libp2p's protobuf form. */
export function newIdentity(): Uint8Array {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  // The seed and the public key are the last 32 bytes of their DER forms (RFC 8410).
  const seed = privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32)
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(-32)
  return new Uint8Array(Buffer.concat([keyHeader, seed, point]))
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function refused(message: string): CommandError {
  return new CommandError(message, { exitCode: exitCodes.failed })
}

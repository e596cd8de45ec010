import { errorText, UsageError } from '../errors.ts'

/** Encrypts a stream as it is read. */
export type Encrypt = (bytes: ReadableStream<Uint8Array>) => Promise<ReadableStream<Uint8Array>>

/** What a stream decrypts to. */
export interface Decrypted {
  readonly bytes: ReadableStream<Uint8Array>
  /** Counts the decrypted bytes of an encrypted file of so many; throws when no such file has that length. */
  size(encrypted: number): number
}

/** How every file of the age format begins (age-encryption.org/v1). */
export const ageIntro: Uint8Array = Buffer.from('age-encryption.org/v1\n')

/** Makes an encryption in the age format that any of the recipients can undo. Throws UsageError for a malformed one. */
export async function encryptionFor(recipients: readonly string[]): Promise<Encrypt> {
  const { Encrypter } = await import('age-encryption')
  const encrypter = new Encrypter()
  for (const recipient of recipients) {
    try {
      encrypter.addRecipient(recipient)
    } catch (cause) {
      const message = `--recipient: ${JSON.stringify(recipient)} is no age recipient (age1...): ${errorText(cause)}`
      throw new UsageError(message, { cause })
    }
  }
  return (bytes) => encrypter.encrypt(bytes)
}

/** Undoes an encryption with the keys of an identity file. Throws UsageError for a file without such keys, and what age says. */
export async function decryptWith(
  identityFile: string,
  bytes: ReadableStream<Uint8Array>,
): Promise<Decrypted> {
  const { Decrypter } = await import('age-encryption')
  const decrypter = new Decrypter()
  for (const identity of identitiesOf(identityFile)) {
    try {
      decrypter.addIdentity(identity)
    } catch (cause) {
      // Never the line itself: it may be a secret.
      throw new UsageError('--identity: a line of the file is no age key (AGE-SECRET-KEY-...)', {
        cause,
      })
    }
  }
  const decrypted = await decrypter.decrypt(bytes)
  return { bytes: decrypted, size: (encrypted) => decrypted.size(encrypted) }
}

/** As age-keygen writes them: one a line, with blank lines and comments between. */
function identitiesOf(file: string): readonly string[] {
  const lines = file.split('\n').map((line) => line.trim())
  const identities = lines.filter((line) => line !== '' && !line.startsWith('#'))
  if (identities.length === 0) throw new UsageError('--identity: the file has no age key')
  return identities
}

import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { errorCode, errorText, UsageError } from './errors.ts'

/** A ticket or key is below 8 KiB; a larger file is the wrong file. Bytes. */
const maxSecretBytes = 64 * 1024

/** Where a secret comes from: never from the arguments, which every process of the host can read. */
export interface SecretSource {
  /** What to call it, such as `ticket`. */
  readonly name: string
  /** How it begins, to tell one that was given as an argument. */
  readonly prefix: string
  /** The file argument: a path, `-` for standard input, or nothing. */
  readonly file: string | undefined
  /** What a variable says, where no file is named. */
  readonly variable?: string | undefined
}

/** Reads a secret from a file, the environment, standard input or a prompt. Throws UsageError. */
export async function readSecret(source: SecretSource): Promise<string> {
  const found = (await secretText(source)).trim()
  if (found === '') throw new UsageError(`there is no ${source.name} in it`)
  return found
}

async function secretText({ name, prefix, file, variable }: SecretSource): Promise<string> {
  if (file?.startsWith(prefix)) {
    throw new UsageError(
      `a ${name} is secret, and arguments are not: put it into a file, or leave it out to be asked`,
    )
  }
  if (file !== undefined && file !== '-') return await fileText(file)
  if (file === undefined && variable) return variable
  return process.stdin.isTTY && file === undefined ? await ask(name) : await text(process.stdin)
}

async function fileText(path: string): Promise<string> {
  try {
    const bytes = await readFile(path)
    if (bytes.length <= maxSecretBytes) return bytes.toString('utf8')
  } catch (error) {
    const reason = errorCode(error) === 'ENOENT' ? 'does not exist' : errorText(error)
    throw new UsageError(`${path}: ${reason}`, { cause: error })
  }
  throw new UsageError(`${path}: too large`)
}

/** What is typed or pasted is not shown. */
async function ask(name: string): Promise<string> {
  const mute = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: mute, terminal: true })
  process.stderr.write(`Paste the ${name} (it is not shown): `)
  try {
    return await lines.question('')
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}

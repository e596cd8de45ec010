import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { getCACertificates } from 'node:tls'

/**
 * Writes one file with all authorities that children are to trust: both git and go take a file in place of the
 * system's, so it holds those too, the user's own files (`others`), and `caFile`. Returns its path.
 */
export async function writeCaBundle(
  root: string,
  init: { readonly caFile: string; readonly others: readonly (string | undefined)[] },
): Promise<string> {
  const own = [init.caFile, ...init.others.filter((file) => file !== undefined && file !== '')]
  const parts = own.map((file) => readIfThere(file ?? ''))
  const known = new Set([...getCACertificates('system'), ...getCACertificates('default')])
  const path = join(root, 'ca.pem')
  await writeFile(path, `${[...parts, ...known].map((pem) => pem.trim()).join('\n')}\n`)
  return path
}

/** A file that is not there, of a user's own settings, would have been told by git and go without us. */
function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

import { basicAuth, credentialKey, type HeaderList } from './credential-set.ts'
import { HelperError, type RunHelper } from './run-helper.ts'

/** What git knows for a URL. */
export interface GitCredential {
  readonly key: string
  readonly headers: HeaderList
  /** As git printed it: what it wants back to remember or forget it. */
  readonly text: string
}

/** Asks `git credential fill` in a directory of the user's choice. Throws HelperError. */
export async function fillGitCredential(
  run: RunHelper,
  dir: string,
  url: URL,
): Promise<GitCredential> {
  const text = await run({
    argv: ['git', 'credential', 'fill'],
    cwd: dir,
    stdin: `url=${url.href}\n\n`,
  })
  const fields = new Map<string, string>()
  for (const line of text.split('\n')) {
    const at = line.indexOf('=')
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1))
  }
  const prefix = URL.parse(
    fields.get('url') ??
      `${fields.get('protocol')}://${fields.get('host')}/${fields.get('path') ?? ''}`,
  )
  const [login, password] = [fields.get('username'), fields.get('password')]
  if (prefix === null || login === undefined || password === undefined) {
    throw new HelperError('git credential fill gave no name and password')
  }
  // A helper that names another host must not make us send its password there, nor this one here.
  const isOurs = prefix.origin === url.origin && isUnder(url.pathname, prefix.pathname)
  if (!isOurs) throw new HelperError('git credential fill answered for another URL')
  return { key: credentialKey(prefix), headers: basicAuth(login, password), text }
}

/** Tells git's helpers whether a credential was good. Best effort, as in cmd/go. */
export async function judgeGitCredential(
  run: RunHelper,
  dir: string,
  credential: GitCredential,
  verdict: 'approve' | 'reject',
): Promise<void> {
  const argv = ['git', 'credential', verdict] as const
  await run({ argv, cwd: dir, stdin: `${credential.text}\n` }).catch(ignoreHelper)
}

function ignoreHelper(error: unknown): void {
  if (!(error instanceof HelperError)) throw error
}

function isUnder(path: string, prefix: string): boolean {
  const base = prefix.endsWith('/') ? prefix : `${prefix}/`
  return path === prefix || path.startsWith(base)
}

import type { Settings } from './settings.ts'

/** The variables that make `go` use a node, by name. */
export type GoEnv = Readonly<Record<string, string>>

export type Shell = 'go' | 'sh' | 'fish' | 'pwsh'

/** Decides what `go` on this host must be told. `base` is the node's URL without the path secret. */
export function goEnv(settings: Settings, base: string): GoEnv {
  const url = settings.pathSecret === undefined ? base : `${base}/${settings.pathSecret}`
  return {
    GOPROXY: url,
    // GOPRIVATE would make go pass the node by; only the checksum lookups have to go.
    ...(settings.private.length > 0 && { GONOSUMDB: settings.private.join(',') }),
    ...(namesOwnKey(settings.sumdb) && { GOSUMDB: settings.sumdb.split(' ', 1)[0] ?? '' }),
  }
}

/** The URL for clients of this host: a node that listens on all addresses is asked on loopback. */
export function localUrl(host: string, port: number): string {
  if (host === '0.0.0.0') return `http://127.0.0.1:${port}`
  if (host === '::') return `http://[::1]:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** A database that go does not know must be given to it with its key. */
function namesOwnKey(sumdb: string): boolean {
  return sumdb.includes('+')
}

/** Writes the variables as lines for a shell, or as `go env -w` lines that last. */
export function formatGoEnv(env: GoEnv, shell: Shell): string {
  return Object.entries(env)
    .map(([name, value]) => `${formatLine(shell, name, value)}\n`)
    .join('')
}

function formatLine(shell: Shell, name: string, value: string): string {
  switch (shell) {
    case 'go':
      return `go env -w ${quoteForShell(`${name}=${value}`)}`
    case 'sh':
      return `export ${name}=${quoteForShell(value)}`
    case 'fish':
      return `set -gx ${name} ${quoteForShell(value)}`
    case 'pwsh':
      return `$env:${name} = '${value.replaceAll("'", "''")}'`
  }
}

function quoteForShell(text: string): string {
  const plain = Array.from(text).every((c) => safeCharacters.includes(c))
  return plain ? text : `'${text.replaceAll("'", "'\\''")}'`
}

const safeCharacters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=,@%+'

import { readFileSync } from 'node:fs'

/** The version in the package's own package.json. */
export function programVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  const parsed: unknown = JSON.parse(text)
  if (typeof parsed === 'object' && parsed !== null && 'version' in parsed) {
    return String(parsed.version)
  }
  return 'unknown'
}

/** How the node names itself to upstreams. */
export function userAgent(): string {
  return `modmesh/${programVersion()}`
}

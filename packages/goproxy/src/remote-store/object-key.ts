import type { RemotePart } from '@modmesh/fill'
import { escapeModulePath, escapeVersion, type ModuleVersion } from '@modmesh/module'

/** Of the layout: a new one gets a new number, and neither misreads the other. */
const layoutVersion = 'v1'

const endings: Readonly<Record<RemotePart, string>> = {
  record: 'record.json',
  mod: 'mod',
  info: 'info',
  zip: 'zip',
}

/**
 * The key of an object: below `v1/` the paths of the GOPROXY protocol, so that people can read a bucket
 * and any file server can serve it; e.g. `prefix/v1/github.com/!burnt!sushi/toml/@v/v1.2.0.zip`.
 */
export function objectKey(prefix: string, module: ModuleVersion, part: RemotePart): string {
  const path = `${escapeModulePath(module.path)}/@v/${escapeVersion(module.version)}`
  return `${prefix === '' ? '' : `${prefix}/`}${layoutVersion}/${path}.${endings[part]}`
}

/** Percent-encodes a key as signatures want it (RFC 3986 unreserved characters and slashes stay). */
export function encodeKey(key: string): string {
  let encoded = ''
  for (const char of encodeURIComponent(key)) {
    encoded += "!'()*".includes(char) ? `%${char.charCodeAt(0).toString(16).toUpperCase()}` : char
  }
  return encoded.replaceAll('%2F', '/')
}

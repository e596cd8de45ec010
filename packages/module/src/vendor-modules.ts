import { InvalidFileError } from './errors.ts'
import type { GoModModule } from './go-mod.ts'
import { maxVendorModulesBytes } from './limits.ts'
import { canonicalVersion, type Version } from './version.ts'

/** A module of a vendor/modules.txt. */
export interface VendoredModule extends GoModModule {
  /** What it is replaced by; no version means a directory. */
  readonly replacedBy: { readonly path: string; readonly version: Version | undefined } | undefined
  /** Whether packages of it are vendored; else it only takes part in the choice of versions. */
  readonly hasPackages: boolean
}

/**
 * Reads a vendor/modules.txt (at most maxVendorModulesBytes) as `go` does: lines that it does not understand
 * are skipped. Throws InvalidFileError when it is too large.
 */
export function parseVendorModules(bytes: Uint8Array): readonly VendoredModule[] {
  if (bytes.length > maxVendorModulesBytes) {
    throw new InvalidFileError('vendor/modules.txt', 'too large')
  }
  const modules: Draft[] = []
  let current: Draft | undefined
  for (const line of new TextDecoder().decode(bytes).split('\n')) {
    const fields = splitFields(line)
    if (line.startsWith('# ')) {
      current = findModule(fields)
      if (current !== undefined) modules.push(current)
    } else if (current !== undefined && fields.length === 1 && !line.startsWith('#')) {
      current.hasPackages = true
    }
  }
  return modules
}

type Draft = { -readonly [K in keyof VendoredModule]: VendoredModule[K] }

/** `# path version`, with or without `=> path [version]`. A replacement without a version names no module of the build. */
function findModule(fields: readonly string[]): Draft | undefined {
  const [, path, versionText, arrow, newPath, newVersionText] = fields
  const version = versionText === undefined ? undefined : canonicalVersion(versionText)
  if (path === undefined || version === undefined) return undefined
  const module = { path, version, replacedBy: undefined, hasPackages: false }
  if (arrow !== '=>' || newPath === undefined || fields.length > 6) return module
  const newVersion = newVersionText === undefined ? undefined : canonicalVersion(newVersionText)
  return { ...module, replacedBy: { path: newPath, version: newVersion } }
}

function splitFields(line: string): string[] {
  return line
    .replaceAll('\t', ' ')
    .replaceAll('\r', ' ')
    .split(' ')
    .filter((field) => field !== '')
}

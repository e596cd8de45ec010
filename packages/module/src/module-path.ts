import { bangEscape, bangUnescape } from './bang-escape.ts'
import { InvalidModulePathError } from './errors.ts'
import { splitPathMajor } from './path-major.ts'
import { findPathFault } from './path-rules.ts'

declare const brand: unique symbol

/** A module path that passed Go's `module.CheckPath`. */
export type ModulePath = string & { readonly [brand]: 'ModulePath' }

/** Parses a module path (unescaped). Throws InvalidModulePathError. */
export function parseModulePath(text: string): ModulePath {
  const fault = findPathFault(text, 'module') ?? findModuleFault(text)
  if (fault !== undefined) throw new InvalidModulePathError(text, fault)
  return text as ModulePath
}

/** Checks a package's import path (x/mod module.CheckImportPath). Throws InvalidModulePathError. */
export function checkImportPath(text: string): void {
  const fault = findPathFault(text, 'import')
  if (fault !== undefined) throw new InvalidModulePathError(text, fault)
}

/** Writes a path as the GOPROXY protocol and the module cache do: `A` becomes `!a`. */
export function escapeModulePath(path: ModulePath): string {
  const escaped = bangEscape(path)
  if (escaped === undefined) throw new InvalidModulePathError(path, 'not a checked module path')
  return escaped
}

/** Reads an escaped path and checks it. Throws InvalidModulePathError. */
export function unescapeModulePath(escaped: string): ModulePath {
  const path = bangUnescape(escaped)
  if (path === undefined) throw new InvalidModulePathError(escaped, 'invalid escape')
  return parseModulePath(path)
}

function findModuleFault(path: string): string | undefined {
  const slash = path.indexOf('/')
  const first = slash < 0 ? path : path.slice(0, slash)
  if (first === '') return 'leading slash'
  if (!first.includes('.')) return 'missing dot in first path element'
  for (const char of first) {
    if (!isHostChar(char)) return `invalid char ${JSON.stringify(char)} in first path element`
  }
  return splitPathMajor(path) === undefined ? 'invalid version' : undefined
}

function isHostChar(char: string): boolean {
  return (
    char === '-' || char === '.' || (char >= '0' && char <= '9') || (char >= 'a' && char <= 'z')
  )
}

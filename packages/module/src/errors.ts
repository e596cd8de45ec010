/** A module path that breaks Go's rules (golang.org/ref/mod#module-path, x/mod module.CheckPath). */
export class InvalidModulePathError extends Error {
  readonly code = 'INVALID_MODULE_PATH'
  readonly path: string
  constructor(path: string, reason: string) {
    super(`malformed module path ${JSON.stringify(path.slice(0, 256))}: ${reason}`)
    this.name = 'InvalidModulePathError'
    this.path = path
  }
}

/** A version that is not canonical, not escapable, or not valid for its module path. */
export class InvalidVersionError extends Error {
  readonly code = 'INVALID_VERSION'
  readonly version: string
  constructor(version: string, reason: string) {
    super(`invalid version ${JSON.stringify(version.slice(0, 256))}: ${reason}`)
    this.name = 'InvalidVersionError'
    this.version = version
  }
}

/** A text that should be an h1 hash and is not. */
export class InvalidHashError extends Error {
  readonly code = 'INVALID_HASH'
  constructor(text: string) {
    super(`not an h1 hash: ${JSON.stringify(text.slice(0, 100))}`)
    this.name = 'InvalidHashError'
  }
}

/** A file that Go's tools refuse to read: go.mod, go.sum, .info. */
export class InvalidFileError extends Error {
  readonly code = 'INVALID_FILE'
  readonly file: string
  readonly reason: string
  readonly line: number | undefined
  constructor(file: string, reason: string, line?: number) {
    super(`${file}${line === undefined ? '' : `:${line}`}: ${reason}`)
    this.name = 'InvalidFileError'
    this.file = file
    this.reason = reason
    this.line = line
  }
}

/** A zip that breaks the rules of golang.org/x/mod/zip CheckZip, or that parsers would read differently. */
export class ZipRulesError extends Error {
  readonly code = 'ZIP_RULES'
  readonly reason: string
  constructor(reason: string) {
    super(`zip refused: ${reason}`)
    this.reason = reason
    this.name = 'ZipRulesError'
  }
}

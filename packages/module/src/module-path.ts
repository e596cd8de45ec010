declare const brand: unique symbol

/** A module path that passed Go's `module.CheckPath`. */
export type ModulePath = string & { readonly [brand]: 'ModulePath' }

/** Parses a module path (unescaped). Throws InvalidModulePathError. */
export function parseModulePath(text: string): ModulePath {
  throw new Error(`to come: ${text}`)
}

/** Writes a path as the GOPROXY protocol and the module cache do: `A` becomes `!a`. */
export function escapeModulePath(path: ModulePath): string {
  throw new Error(`to come: ${path}`)
}

/** Reads an escaped path and checks it. Throws InvalidModulePathError. */
export function unescapeModulePath(escaped: string): ModulePath {
  throw new Error(`to come: ${escaped}`)
}

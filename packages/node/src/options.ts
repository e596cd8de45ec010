import { meshOptions } from './options-mesh.ts'
import { nodeOptions } from './options-node.ts'
import { sourceOptions } from './options-sources.ts'
import { uploadOptions } from './options-uploads.ts'
import type { OptionName, OptionTable } from './settings.ts'

/** The one table behind flags, environment variables and the configuration file (design, section 7). */
export const options: OptionTable<OptionName> = {
  ...nodeOptions,
  ...sourceOptions,
  ...meshOptions,
  ...uploadOptions,
}

/** The names of all options, in the order of the table. */
export const optionNames: readonly OptionName[] = Object.keys(options) as OptionName[]

/** The flag and configuration key of an option: `meshListen` is `mesh-listen`. */
export function flagName(name: OptionName): string {
  return Array.from(name, (c) => (c === c.toLowerCase() ? c : `-${c.toLowerCase()}`)).join('')
}

/** The environment variable of an option: `meshListen` is `MODMESH_MESH_LISTEN`. */
export function variableName(name: OptionName): string {
  return `MODMESH_${flagName(name).replaceAll('-', '_').toUpperCase()}`
}

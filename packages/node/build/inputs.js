/** Plain JavaScript, as the launcher that needs it: taking types off costs each command 40 ms. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Where a bundle says which files it was made of: beside it. */
export const inputsFile = 'inputs.json'

/**
 * A file as it was read: path, time of the last change in milliseconds, length in bytes.
 * @typedef {readonly [path: string, mtimeMs: number, size: number]} Input
 */

/**
 * Writes down what `isFresh` compares with: the files that were read, and those that decide how.
 * @param {readonly string[]} paths
 * @returns {string}
 */
export function describeInputs(paths) {
  return JSON.stringify([...paths, ...ownFiles()].flatMap((path) => look(path) ?? []))
}

/**
 * Whether the bundle in a folder is made of the sources as they are now. Takes some 10 ms.
 * @param {string} folder
 * @returns {boolean}
 */
export function isFresh(folder) {
  /** @type {readonly Input[]} */
  let inputs
  try {
    inputs = JSON.parse(readFileSync(join(folder, inputsFile), 'utf8'))
  } catch {
    return false // none yet, or not whole: it is made again
  }
  return inputs.every(([path, mtimeMs, size]) => {
    const now = look(path)?.[0]
    return now !== undefined && now[1] === mtimeMs && now[2] === size
  })
}

/**
 * @param {string} path
 * @returns {[Input] | undefined}
 */
function look(path) {
  const found = statSync(path, { throwIfNoEntry: false })
  return found && [[path, found.mtimeMs, found.size]]
}

function ownFiles() {
  return readdirSync(import.meta.dirname).map((name) => join(import.meta.dirname, name))
}

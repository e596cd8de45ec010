import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { describeInputs, inputsFile } from './inputs.js'

const packages: string = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Puts the program and all it needs into few files: 1,500 modules take a second to find and load, these a quarter.
 * A worker thread is a program of its own; what is native stays a package.
 *
 * @param folder - where the files go. A node that runs from there goes on: a file appears whole under its name.
 */
export async function makeBundle(folder: string): Promise<void> {
  await using build = await rolldown({
    cwd: packages,
    input: {
      main: join(packages, 'node/src/main.ts'),
      'delta-worker': join(packages, 'store/src/delta/delta-worker.ts'),
      'verify-worker': join(packages, 'store/src/verify-worker.ts'),
    },
    platform: 'node',
    tsconfig: false,
    external: ['classic-level'],
    logLevel: 'warn',
  })
  const { output } = await build.generate({
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
  })
  const inputs = describeInputs(await build.watchFiles)
  mkdirSync(folder, { recursive: true })
  for (const file of output)
    writeWhole(folder, file.fileName, file.type === 'chunk' ? file.code : file.source)
  writeWhole(folder, inputsFile, inputs)
  removeOthers(folder, new Set([inputsFile, ...output.map((file) => file.fileName)]))
}

function writeWhole(folder: string, name: string, content: string | Uint8Array): void {
  const unfinished = join(folder, `.${name}.${process.pid}`)
  writeFileSync(unfinished, content)
  renameSync(unfinished, join(folder, name))
}

/** What an earlier build left. */
function removeOthers(folder: string, names: ReadonlySet<string>): void {
  for (const name of readdirSync(folder)) {
    if (!names.has(name) && !name.startsWith('.')) rmSync(join(folder, name))
  }
}

import { mkdtemp, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { describeInputs, inputsFile, isFresh } from '../../build/inputs.js'

let folder: string
let source: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'modmesh-inputs-'))
  source = join(folder, 'source.ts')
  await writeFile(source, 'one')
  await writeFile(join(folder, inputsFile), describeInputs([source]))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

describe('a bundle', () => {
  test('of the files as they are is fresh', () => {
    expect(isFresh(folder)).toBe(true)
  })

  test.for<readonly [string, () => Promise<void>]>([
    ['changed', () => writeFile(source, 'more')],
    ['changed to the same length', () => utimes(source, 1, 2)],
    ['removed', () => rm(source)],
  ])('is not when a file was %s', async ([, change]) => {
    await change()
    expect(isFresh(folder)).toBe(false)
  })

  test('is not when it was never made, or not whole', async () => {
    await truncate(join(folder, inputsFile), 10)
    expect(isFresh(folder)).toBe(false)
    await rm(join(folder, inputsFile))
    expect(isFresh(folder)).toBe(false)
  })

  test('is not when the way it is made has changed', async () => {
    const text = describeInputs([source]).replace(/("[^"]*bundle\.ts",\d*)/, '$1111')
    await writeFile(join(folder, inputsFile), text)
    expect(isFresh(folder)).toBe(false)
  })
})

import { copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nodeDisk } from '../src/disk.ts'
import { DurableFile } from '../src/durable-file.ts'
import { InvalidPinError, StoreWriteError } from '../src/errors.ts'
import { Pins, parsePin } from '../src/pins.ts'
import type { StoreEvent } from '../src/store-event.ts'
import { guardedDisk, systemError } from './support/faulty-disk.ts'
import { tempDir } from './support/temp-dir.ts'
import { moduleAt } from './support/zips.ts'

async function openPins(path: string, disk = nodeDisk) {
  const events: StoreEvent[] = []
  const pins = await Pins.open({ disk, report: (event) => events.push(event) }, path)
  const texts = (): string[] => pins.list().map(({ text }) => text)
  const add = (...names: string[]): Promise<void> => pins.add(names.map(parsePin))
  return { pins, events, texts, add }
}

async function newPath(): Promise<string> {
  return join(await tempDir(), 'pins')
}

const module = moduleAt('v1.2.0', 'example.com/a/b')

describe('a pin', () => {
  test.for([
    { text: 'example.com/a/b@v1.2.0', covers: true },
    { text: 'example.com/a/b@v1.2.1', covers: false },
    { text: 'example.com/a/b', covers: true },
    { text: 'example.com', covers: true },
    { text: 'example.com/*/b', covers: true },
    { text: 'example.com/a/b/c', covers: false },
    { text: '*.com/a', covers: true },
    { text: 'example.org', covers: false },
  ])('$text covers example.com/a/b@v1.2.0: $covers', async ({ text, covers }) => {
    const { pins, add } = await openPins(await newPath())
    expect(pins.covers(module)).toBe(false)
    await add(text)
    expect(pins.covers(module)).toBe(covers)
  })

  test.for([
    '',
    ' ',
    'a b',
    'a,b',
    'example.com/a@',
    '@v1.0.0',
    'example.com/a@latest',
    'a[',
    '\\',
  ])('%j is none', (text) => {
    expect(() => parsePin(text)).toThrow(InvalidPinError)
  })
})

describe('pins', () => {
  test('are read again as they were written, each once', async () => {
    const path = await newPath()
    const first = await openPins(path)
    await first.add('example.com/a', 'example.com/b@v1.0.0')
    await first.add('example.com/a')
    await first.pins.remove(['example.com/b@v1.0.0', 'example.com/none'])
    expect((await openPins(path)).texts()).toEqual(['example.com/a'])
  })

  test('changed at the same time are all there', async () => {
    const path = await newPath()
    const { add, pins, texts } = await openPins(path)
    await add('gone.example')
    const names = Array.from({ length: 12 }, (_, n) => `example.com/m${n}`)
    await Promise.all([...names.map((name) => add(name)), pins.remove(['gone.example'])])
    expect(texts().toSorted()).toEqual(names.toSorted())
    expect((await openPins(path)).texts().toSorted()).toEqual(names.toSorted())
  })

  test('of projects are read again, replaced by name, and cover what they name', async () => {
    const path = await newPath()
    const { pins, add } = await openPins(path)
    await add('example.com/a')
    await pins.putProject({ name: 'app', modules: [module, moduleAt('v1.0.0')] })
    await pins.putProject({ name: 'app', modules: [module] })
    const again = (await openPins(path)).pins
    expect(again.projects()).toEqual([{ name: 'app', modules: [module] }])
    expect(again.covers(module)).toBe(true)
    expect(again.covers(moduleAt('v1.0.0'))).toBe(false)
    expect(await again.removeProject('other')).toBe(false)
    expect(await again.removeProject('app')).toBe(true)
    const last = await openPins(path)
    expect([last.texts(), last.pins.projects()]).toEqual([['example.com/a'], []])
  })

  test('that the disk would not take are not there, and those before are', async () => {
    let isFull = false
    const disk = guardedDisk((call) => {
      if (isFull && call === 'write') throw systemError('ENOSPC')
    })
    const path = await newPath()
    const { add, pins, texts } = await openPins(path, disk)
    await add('example.com/a')
    isFull = true
    await expect(add('example.com/b')).rejects.toBeInstanceOf(StoreWriteError)
    await expect(pins.remove(['example.com/a'])).rejects.toBeInstanceOf(StoreWriteError)
    expect(texts()).toEqual(['example.com/a'])
    isFull = false
    await add('example.com/c')
    expect((await openPins(path)).texts()).toEqual(['example.com/a', 'example.com/c'])
  })

  test('are as they were after any changes and restarts', async () => {
    const change = fc.record({ isAdd: fc.boolean(), n: fc.nat(5), restarts: fc.boolean() })
    const property = fc.asyncProperty(fc.array(change, { maxLength: 12 }), async (changes) => {
      const path = await newPath()
      let opened = await openPins(path)
      const model = new Set<string>()
      for (const { isAdd, n, restarts } of changes) {
        const name = `example.com/m${n}`
        if (isAdd) await opened.add(name)
        else await opened.pins.remove([name])
        if (isAdd) model.add(name)
        else model.delete(name)
        if (restarts) opened = await openPins(path)
        expect(new Set(opened.texts())).toEqual(model)
        for (let m = 0; m <= 5; m++) {
          const covered = opened.pins.covers(moduleAt('v1.0.0', `example.com/m${m}`))
          expect(covered).toBe(model.has(`example.com/m${m}`))
        }
      }
    })
    await fc.assert(property, { numRuns: 20 })
  })
})

describe('a file of pins', () => {
  async function written(): Promise<string> {
    const path = await newPath()
    const { add } = await openPins(path)
    await add('example.com/a')
    return path
  }

  test('of which one copy is damaged has lost nothing', async () => {
    const path = await written()
    await writeFile(path, 'rubbish')
    const { pins, events, texts } = await openPins(path)
    expect({ isLost: pins.isLost, events, texts: texts() }).toEqual({
      isLost: false,
      events: [],
      texts: ['example.com/a'],
    })
  })

  const losses: readonly {
    readonly name: string
    readonly lose: (path: string) => Promise<void>
  }[] = [
    {
      name: 'damaged in both copies',
      lose: async (path) => {
        for (const copy of [path, `${path}.2`]) await writeFile(copy, 'rubbish')
      },
    },
    {
      name: 'cut in both copies',
      lose: async (path) => {
        const bytes = await readFile(path)
        for (const copy of [path, `${path}.2`]) await writeFile(copy, bytes.subarray(0, -3))
      },
    },
    {
      name: 'emptied in one copy and missing in the other',
      lose: async (path) => {
        await writeFile(path, '')
        await rm(`${path}.2`)
      },
    },
    {
      name: 'of a form that we do not know',
      lose: async (path) => {
        await rm(`${path}.2`)
        await new DurableFile(`${path}.new`).write(Buffer.from('{"format":2,"pins":[]}'))
        await copyFile(`${path}.new`, path)
      },
    },
  ]

  test.for(losses)('$name keeps everything until somebody pins again', async ({ lose }) => {
    const path = await written()
    await lose(path)
    const { pins, events, add } = await openPins(path)
    expect(events).toEqual([{ kind: 'pins-lost', path }])
    expect(pins.covers(moduleAt('v1.0.0', 'example.org/any'))).toBe(true)
    // Nothing is known, so nothing can be ended.
    expect(await pins.remove(['example.com/a', 'example.com/b'])).toEqual([])
    expect(pins.isLost).toBe(true)
    await add('example.com/c')
    expect(pins.isLost).toBe(false)
    expect(pins.covers(moduleAt('v1.0.0', 'example.org/any'))).toBe(false)
    const again = await openPins(path)
    expect({ texts: again.texts(), events: again.events }).toEqual({
      texts: ['example.com/c'],
      events: [],
    })
  })

  test('that got lost on a full disk stays lost, over a restart too', async () => {
    const path = await written()
    for (const copy of [path, `${path}.2`]) await writeFile(copy, 'rubbish')
    const disk = guardedDisk((call) => {
      if (call === 'write') throw systemError('ENOSPC')
    })
    const { add } = await openPins(path, disk)
    await expect(add('example.com/c')).rejects.toBeInstanceOf(StoreWriteError)
    expect((await openPins(path)).pins.isLost).toBe(true)
  })
})

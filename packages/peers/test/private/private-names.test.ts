import { parseModulePath, privateNameKey } from '@modmesh/module'
import { expect, test } from 'vitest'
import { PrivateNames, type PrivateNamesComponents } from '../../src/private/private-names.ts'

const secret = new Uint8Array(32).fill(7)
const known = { secret, record: new Uint8Array(), order: new Uint8Array() }
const held = parseModulePath('corp.example/held')
const added = parseModulePath('corp.example/added')

test('a path that is added while all are read stays announced', async () => {
  const announced = new Set<string>()
  const onAdded: ((path: typeof held) => void)[] = []
  let reads = 0
  const renewed = Promise.withResolvers<void>()
  const shelf = {
    onAdded: (listener: (path: typeof held) => void) => {
      onAdded.push(listener)
      return () => {}
    },
    async *paths() {
      reads += 1
      if (reads > 1) for (const listener of onAdded) listener(added)
      yield held
    },
  }
  const parts = {
    clock: { sleep: async () => {} },
    membership: { onLedger: () => () => {}, onChange: () => () => {} },
    standing: {},
    keeper: {
      restore: async () => {},
      current: () => known,
      have: async () => known,
      onChange: () => () => {},
    },
    shelf,
    links: () => {
      renewed.resolve()
      return []
    },
    announcer: () => ({
      addKey: (key: { toString(): string }) => void announced.add(key.toString()),
      withdrawKey: async (key: { toString(): string }) => void announced.delete(key.toString()),
    }),
    failed: renewed.reject,
  } as unknown as PrivateNamesComponents
  const names = new PrivateNames(parts)
  await names.start()
  await renewed.promise
  names.stop()
  expect(reads).toBe(2)
  expect([...announced]).toEqual([privateNameKey(added, secret).toString()])
})

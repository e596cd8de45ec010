import { type ModuleVersion, parseModuleVersion } from '@modmesh/module'
import { SumdbClient } from '../src/index.ts'
import { FakeSumdb, type MemoryOps, memoryOps } from '../testing/index.ts'

/** A signal that never fires. */
export const signal: AbortSignal = new AbortController().signal

/** The module version that most tests ask for; its path needs an escape. */
export const wanted: ModuleVersion = parseModuleVersion('example.com/Wanted', 'v1.2.3')

/** The n-th filler record of a fake log. */
export function filler(id: number): ModuleVersion {
  return parseModuleVersion(`filler.test/m${id}`, 'v1.0.0')
}

/** A log of `size` records in which the wanted one has the given id. */
export function logOf(size: number, id = Math.floor(size / 2), seed = 'seed'): FakeSumdb {
  const fake = new FakeSumdb({ seed })
  fake.addFiller(id)
  fake.add(wanted.path, wanted.version)
  fake.addFiller(size - id - 1)
  return fake
}

/** A client of a fake log, or of operations used before: a restart. */
export function clientOf(
  fake: FakeSumdb,
  ops: MemoryOps = memoryOps(fake),
  isPrivate: (path: string) => boolean = () => false,
): { readonly client: SumdbClient; readonly ops: MemoryOps } {
  return { client: new SumdbClient({ ops }, { key: fake.key, isPrivate }), ops }
}

/** Changes one bit. */
export function flip(bytes: Uint8Array, at = 0): Uint8Array {
  const changed = Uint8Array.from(bytes)
  changed[at] = (changed[at] ?? 0) ^ 1
  return changed
}

/** A promise and its resolver, to hold work at a point of a test's choice. */
export function gate(): { readonly open: () => void; readonly opened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { open: resolve, opened: promise }
}

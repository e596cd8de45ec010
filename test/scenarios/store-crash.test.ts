import { execFile } from 'node:child_process'
import { cpSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { hashMod } from '@modmesh/module'
import { beforeAll, describe, expect, test } from 'vitest'
import { DiskStore } from '../../packages/store/src/disk-store.ts'
import { StoreWriteError } from '../../packages/store/src/errors.ts'
import { commitSteps } from '../../packages/store/src/zip-commit.ts'
import { checkStore } from '../../packages/store/test/support/check-store.ts'
import { guardedDisk, systemError } from '../../packages/store/test/support/faulty-disk.ts'
import { PowerDisk, type Survival } from '../../packages/store/test/support/power-disk.ts'
import { tempDir } from '../../packages/store/test/support/temp-dir.ts'
import { moduleAt, proof, putZip, smallZip } from '../../packages/store/test/support/zips.ts'

const old = moduleAt('v1.0.0')
const fresh = moduleAt('v1.1.0')
/** Each step's end is the next one's beginning: nothing touches the disk in between. */
const points = [
  { step: commitSteps[0], when: 'before' as const },
  ...commitSteps.map((step) => ({ step, when: 'after' as const })),
]
/** Steps after which a zip is there even when the process dies: the rename makes it so. */
const visibleFrom = commitSteps.indexOf('rename')

let template = ''
let compileCache = ''
beforeAll(async () => {
  template = await mkdtemp(join(tmpdir(), 'modmesh-store-'))
  compileCache = await mkdtemp(join(tmpdir(), 'modmesh-cache-'))
  await makeOld(template)
  // Not killed, so that the killed ones find its compiled code and start in a third of the time.
  expect(await runChild(join(compileCache, 'store'), 'none', 'none')).toBeUndefined()
  return async () => {
    await rm(template, { recursive: true })
    await rm(compileCache, { recursive: true })
  }
})

/** Runs the child that commits one zip. Returns the signal it died of. */
function runChild(dir: string, step: string, when: string): Promise<string | undefined> {
  const child = fileURLToPath(
    new URL('../../packages/store/test/support/commit-child.ts', import.meta.url),
  )
  const env = { ...process.env, NODE_COMPILE_CACHE: compileCache }
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [child, dir, step, when], { env }, (error, _stdout, stderr) => {
      if (error === null) resolve(undefined)
      else if (error.signal) resolve(error.signal)
      else reject(new Error(stderr))
    })
  })
}

/** A store that holds one zip and one go.mod. */
async function storeWithOld(finished?: (work: () => Promise<void>) => void): Promise<string> {
  const dir = await tempDir(finished)
  cpSync(template, dir, { recursive: true })
  return dir
}

async function makeOld(dir: string): Promise<void> {
  const store = await DiskStore.open({ dir })
  await putZip(store, old, smallZip(old).bytes)
  await putMod(store, old)
  await store[Symbol.asyncDispose]()
}

async function putMod(store: DiskStore, module = fresh): Promise<void> {
  const bytes = Buffer.from(`module ${module.path}\n`)
  await store.putRecord({ module, mod: { bytes, hash: hashMod(bytes), proof } })
}

describe('a process killed during a commit', () => {
  test.concurrent.for(points)(
    '$when $step leaves all or nothing',
    async ({ step, when }, context) => {
      const { expect } = context
      const dir = await storeWithOld(context.onTestFinished)
      expect(await runChild(dir, step, when)).toBe('SIGKILL')
      const { held } = await checkStore(dir)
      const at = commitSteps.indexOf(step)
      const isVisible = at > visibleFrom || (at === visibleFrom && when === 'after')
      const zips = isVisible ? ['zip v1.0.0', 'zip v1.1.0'] : ['zip v1.0.0']
      expect(held).toEqual(['mod v1.0.0', ...zips])
    },
  )
})

describe('a power cut during a commit', () => {
  const survivals: readonly (Survival & { readonly name: string })[] = [
    { name: 'nothing unsynced survives', data: () => 0, names: () => 0 },
    { name: 'names survive, data does not', data: () => 0, names: () => 1 },
  ]
  const cases = points.flatMap((point, i) => {
    const random = { name: `seed ${i + 1}`, ...randomSurvival(i + 1) }
    return [...survivals, random].map((survival) => ({ ...point, survival }))
  })
  test.for(cases)('$when $step, $survival.name', async ({ step, when, survival }) => {
    const dir = await storeWithOld()
    const disk = new PowerDisk()
    const store = await DiskStore.open({
      dir,
      disk,
      hooks: {
        onStep: (at, now) => {
          if (at === step && now === when) disk.turnOff()
        },
      },
    })
    await putMod(store)
    const put = putZip(store, fresh, smallZip(fresh).bytes)
    const isAcknowledged = await put.then(
      () => true,
      () => false,
    )
    await store[Symbol.asyncDispose]().catch(() => {})
    await disk.cut(survival)
    const { held } = await checkStore(dir)
    expect(held).toContain('mod v1.1.0')
    expect(held).toContain('zip v1.0.0')
    if (isAcknowledged) expect(held).toContain('zip v1.1.0')
  })

  test('the first things a new store acknowledged survive', async () => {
    const dir = await tempDir()
    const disk = new PowerDisk()
    const store = await DiskStore.open({ dir, disk })
    await putMod(store)
    await putZip(store, fresh, smallZip(fresh).bytes)
    disk.turnOff()
    await store[Symbol.asyncDispose]().catch(() => {})
    await disk.cut({ data: () => 0, names: () => 0 })
    expect((await checkStore(dir)).held).toEqual(['mod v1.1.0', 'zip v1.1.0'])
  })

  test('an index from before the cut is brought up to date', async () => {
    const dir = await storeWithOld()
    const index = join(dir, 'store/v1/index')
    await cp(index, `${index}.kept`, { recursive: true })
    const store = await DiskStore.open({ dir })
    await putZip(store, fresh, smallZip(fresh).bytes)
    await putMod(store)
    await store[Symbol.asyncDispose]()
    await rm(index, { recursive: true })
    await cp(`${index}.kept`, index, { recursive: true })
    const { held } = await checkStore(dir)
    expect(held).toEqual(['mod v1.0.0', 'mod v1.1.0', 'zip v1.0.0', 'zip v1.1.0'])
  })
})

describe('a disk call that fails once', () => {
  test('loses nothing that was acknowledged, whichever it is', async () => {
    const calls = await countCalls()
    expect(calls).toBeGreaterThan(40)
    for (let n = 1; n <= calls; n++) await failNth(n, n % 2 === 0 ? 'EIO' : 'ENOSPC')
  })

  test('a failed fsync is not tried again on the same file', async () => {
    const dir = await tempDir()
    const synced: string[] = []
    const disk = guardedDisk((call, path) => {
      if (call !== 'fsync') return
      synced.push(path)
      if (path.endsWith('.zip') || path.endsWith('.log')) throw systemError('EIO')
    })
    const store = await DiskStore.open({ dir, disk })
    for (let i = 0; i < 2; i++) {
      await expect(putZip(store, fresh, smallZip(fresh).bytes)).rejects.toMatchObject({
        code: 'STORE_WRITE',
        errno: 'EIO',
      })
      await expect(putMod(store)).rejects.toBeInstanceOf(StoreWriteError)
    }
    await store[Symbol.asyncDispose]()
    expect(new Set(synced).size).toBe(synced.length)
    expect(synced.length).toBeGreaterThanOrEqual(4)
    expect((await checkStore(dir)).held).toEqual([])
  })
})

/** Commits and puts through a disk, then reads everything back; says what was acknowledged. */
async function work(store: DiskStore): Promise<readonly string[]> {
  const acknowledged: string[] = []
  const note = (name: string) => () => acknowledged.push(name)
  // Failures are the point: only what was acknowledged counts.
  const ignore = (error: unknown): void => {
    expect(error).toMatchObject({ code: expect.stringMatching(/^(STORE_WRITE|STORE_DAMAGED)$/) })
  }
  await putZip(store, fresh, smallZip(fresh).bytes).then(note('zip v1.1.0'), ignore)
  await putMod(store).then(note('mod v1.1.0'), ignore)
  await putMod(store, moduleAt('v1.2.0')).then(note('mod v1.2.0'), ignore)
  return acknowledged
}

async function countCalls(): Promise<number> {
  let calls = 0
  const store = await DiskStore.open({
    dir: await storeWithOld(),
    disk: guardedDisk(() => {
      calls++
    }),
  })
  await work(store)
  await store[Symbol.asyncDispose]()
  return calls
}

async function failNth(n: number, code: string): Promise<void> {
  const dir = await storeWithOld()
  let calls = 0
  const disk = guardedDisk(() => {
    if (++calls === n) throw systemError(code)
  })
  let acknowledged: readonly string[] = []
  try {
    const store = await DiskStore.open({ dir, disk })
    acknowledged = await work(store)
    await store[Symbol.asyncDispose]().catch(() => {})
  } catch (error) {
    // The start itself failed: it says so, and the next one works.
    expect(isInjected(error), String(error)).toBe(true)
  }
  const { held } = await checkStore(dir)
  expect(held).toEqual(expect.arrayContaining([...acknowledged, 'mod v1.0.0', 'zip v1.0.0']))
}

/** Whether an error, or what caused it, is the one we made. */
function isInjected(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.message.endsWith(': injected') || isInjected(error.cause)
}

/** A small generator (xorshift), so that a failing seed can be run again. */
function randomSurvival(seed: number): Survival {
  let state = seed * 2654435761
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
  return { data: next, names: next }
}

import type { Answer, HeldZip } from '@modmesh/fill'
import { MemoryBucket, type MemoryRemoteStore } from '@modmesh/fill/twins'
import type { ModuleVersion } from '@modmesh/module'
import { expect } from 'vitest'
import { bytesOf, patient, type Release, World, type WorldInit } from './world.ts'

/** A node and the bucket it reads and writes. */
export interface BucketWorld {
  readonly world: World
  readonly bucket: MemoryBucket
  readonly remote: MemoryRemoteStore
}

/** Puts all of a release into a bucket, as another node does. */
export function fillBucket(bucket: MemoryBucket, release: Release): void {
  const { module } = release
  bucket.put(module, 'zip', release.zip)
  bucket.put(module, 'mod', release.mod)
  bucket.put(module, 'info', release.info)
  bucket.putRecord(module, release.sums.record)
}

export function worldWithBucket(init: WorldInit = {}): BucketWorld {
  const bucket = new MemoryBucket()
  const world = new World({ ...init, bucket })
  if (world.remote === undefined) throw new Error('a world without its remote store')
  return { world, bucket, remote: world.remote }
}

/** A node that can ask nobody but the bucket. */
export function isolated(): BucketWorld {
  const { world, ...rest } = worldWithBucket()
  world.upstream.isOn = false
  world.db.fault = 'down'
  return { world, ...rest }
}

export const kinds: readonly ['zip', 'mod', 'info'] = ['zip', 'mod', 'info']

/** Asks for all three files, checks what came, and tells their sources. */
export async function askAll(world: World, release: Release): Promise<string[]> {
  const { module } = release
  const zip = await world.run(world.fill.zip(module, patient))
  expect(await bytesOf(zip.value)).toEqual(release.zip)
  const mod = await world.run(world.fill.mod(module, patient))
  expect(mod.value).toEqual(release.mod)
  const info = await world.run(world.fill.info(module, patient))
  expect(info.value).toEqual(release.info)
  return [zip, mod, info].map(({ source }) => source.kind)
}

/** Asks for one file. */
export async function askFor(
  world: World,
  kind: (typeof kinds)[number],
  module: ModuleVersion,
): Promise<Answer<HeldZip | Uint8Array>> {
  return await world.run<Answer<HeldZip | Uint8Array>>(world.fill[kind](module, patient))
}

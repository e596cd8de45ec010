import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import {
  contentId,
  formatManifest,
  hashManifest,
  nameKey,
  parseModulePath,
  zipHashBytes,
  zipHashFromBytes,
} from '../src/index.ts'

test('a content id is the address of the manifest as a raw block', () => {
  const manifest = formatManifest([{ name: 'm@v1/a', sha256: new Uint8Array(32) }])
  const id = contentId(hashManifest(manifest))
  expect([id.version, id.code, id.multihash.code]).toEqual([1, 0x55, 0x12])
  expect(Buffer.from(id.multihash.digest)).toEqual(createHash('sha256').update(manifest).digest())
})

test('a content id gives the hash back, after its text form too', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const hash = zipHashFromBytes(bytes)
      const id = CID.parse(contentId(hash).toString())
      expect(zipHashFromBytes(id.multihash.digest)).toBe(hash)
      expect(zipHashBytes(hash)).toEqual(bytes)
    }),
  )
})

test('a name key is the hash of the path behind a fixed prefix', () => {
  const path = parseModulePath('golang.org/x/text')
  const digest = createHash('sha256').update('modmesh name key 1\ngolang.org/x/text').digest()
  expect(Buffer.from(nameKey(path).multihash.digest)).toEqual(digest)
  expect(nameKey(path).toString()).toBe(
    'bafkreievbohqphoitlxcemdfq3wpm6dkjnokdvwpltb6r7tb5vbytaulzy',
  )
})

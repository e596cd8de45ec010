import { createPrivateKey, createPublicKey } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openIdentity } from '../src/identity.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-identity-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

test('the first start makes a key that only its owner can read, later starts keep it', async () => {
  const first = await openIdentity(dir)
  expect((await stat(join(dir, 'identity.key'))).mode & 0o777).toBe(0o600)
  expect(await openIdentity(dir)).toEqual(first)
})

test('the key is an Ed25519 key in libp2p’s form: its public half belongs to its seed', async () => {
  const bytes = await openIdentity(dir)
  expect([...bytes.subarray(0, 4)]).toEqual([8, 1, 18, 64])
  const seed = Buffer.from(bytes.subarray(4, 36))
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const point = createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).subarray(-32)
  expect(Buffer.from(bytes.subarray(36))).toEqual(point)
})

test('two nodes have two keys', async () => {
  const other = await mkdtemp(join(tmpdir(), 'modmesh-identity-'))
  expect(await openIdentity(other)).not.toEqual(await openIdentity(dir))
  await rm(other, { recursive: true })
})

test('a key that others can read is refused with the command that helps', async () => {
  await openIdentity(dir)
  await chmod(join(dir, 'identity.key'), 0o640)
  await expect(openIdentity(dir)).rejects.toThrow(`chmod 600 ${dir}/identity.key`)
})

test('a symbolic link is not followed', async () => {
  await writeFile(join(dir, 'elsewhere'), 'x', { mode: 0o600 })
  await symlink(join(dir, 'elsewhere'), join(dir, 'identity.key'))
  await expect(openIdentity(dir)).rejects.toThrow('symbolic link')
})

test('a damaged key is refused and left as it is', async () => {
  const path = join(dir, 'identity.key')
  await openIdentity(dir)
  await writeFile(path, (await readFile(path)).subarray(0, 40))
  await expect(openIdentity(dir)).rejects.toThrow('not an identity key')
  expect((await readFile(path)).length).toBe(40)
})

test('a start that was killed while it made the key is repeated', async () => {
  await writeFile(join(dir, 'identity.key.new'), 'half')
  await expect(openIdentity(dir)).resolves.toHaveLength(68)
})

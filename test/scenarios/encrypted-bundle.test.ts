import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FakeUpstream } from '../support/fake-upstream.ts'
import { type RunResult, type StartedNode, startNode } from '../support/start-node.ts'

const secret = 'example.com/secret'
const parts = new AsyncDisposableStack()
let dir = ''
let source: StartedNode
let site: StartedNode
/** Identity files, and the recipients that belong to them. */
const keys: { readonly file: string; readonly recipient: string }[] = []
let bundle = ''

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-encrypted-'))
  parts.defer(() => rm(dir, { recursive: true, force: true, maxRetries: 10 }))
  const files = { 'go.mod': `module ${secret}\n`, 'a.bin': randomBytes(200_000) }
  const module = { path: secret, version: 'v1.0.0', files }
  const upstream = parts.use(await FakeUpstream.start({ modules: [module] }))
  upstream.sumdb.addFiller(3_000)
  const sumdb = ['--sumdb', upstream.sumdb.keyText]
  source = parts.use(await startNode({ args: ['--upstream', upstream.url, ...sumdb] }))
  site = parts.use(await startNode({ args: ['--upstream', 'off', ...sumdb] }))
  for (const name of ['ours', 'theirs', 'nobodys']) keys.push(await newKey(name))
  bundle = join(dir, 'site.modmesh')
  const made = await source.run(['export', `${secret}@v1.0.0`, ...recipients(), '-o', bundle])
  expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining('complete') })
})
afterAll(() => parts.disposeAsync())

async function newKey(name: string): Promise<(typeof keys)[number]> {
  const identity = await generateX25519Identity()
  const recipient = await identityToRecipient(identity)
  const file = join(dir, name)
  await writeFile(file, `# created: now\n# public key: ${recipient}\n\n${identity}\n`)
  return { file, recipient }
}

function recipients(): readonly string[] {
  return keys.slice(0, 2).flatMap(({ recipient }) => ['--recipient', recipient])
}

function importAt(
  file: string,
  key: number | undefined,
  more: readonly string[] = [],
): Promise<RunResult> {
  const identity = key === undefined ? [] : ['--identity', keys[key]?.file ?? '']
  return site.run(['import', file, '--signer', source.peerId, ...identity, ...more])
}

test('an encrypted bundle opens with a key that it was written to, and with no other', async () => {
  expect((await readFile(bundle)).subarray(0, 22).toString()).toBe('age-encryption.org/v1\n')
  expect(await importAt(bundle, undefined)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--identity'),
  })
  expect(await importAt(bundle, 2)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('cannot be decrypted'),
  })
  for (const key of [0, 1]) {
    const planned = await importAt(bundle, key, ['--plan'])
    expect(planned).toMatchObject({ code: 0, stdout: expect.stringContaining('1 zip lacking') })
  }
})

test('one that is cut off or altered is refused by the name of its fault', async () => {
  const bytes = await readFile(bundle)
  const wrong = join(dir, 'wrong')
  const refused = async (changed: Uint8Array): Promise<string> => {
    await writeFile(wrong, changed)
    const { code, stderr } = await importAt(wrong, 0)
    expect(code).toBe(23)
    return stderr
  }
  // Within a chunk, and between two: either length is found wrong before anything is taken.
  expect(await refused(bytes.subarray(0, -7))).toContain('BUNDLE_TRUNCATED')
  expect(await refused(bytes.subarray(0, bytes.length - 65_552))).toContain('BUNDLE_TRUNCATED')
  expect(await refused(Buffer.concat([bytes, bytes.subarray(-100)]))).toContain('BUNDLE_ALTERED')
  const altered = Buffer.from(bytes)
  altered[bytes.length - 9] = (altered[bytes.length - 9] ?? 0) ^ 1
  expect(await refused(altered)).toContain('BUNDLE_ALTERED')
  const header = Buffer.from(bytes)
  header[60] = (header[60] ?? 0) ^ 1
  await writeFile(wrong, header)
  expect(await importAt(wrong, 0)).toMatchObject({ code: 1 })
  expect((await site.run(['ls'])).stdout).toBe('')
})

test('a later bundle is made on top of an encrypted one, by a pipe, too', async () => {
  expect(await importAt(bundle, 1)).toMatchObject({ code: 0 })
  const since = ['--since', bundle, '--identity', keys[0]?.file ?? '']
  const update = join(dir, 'update.modmesh')
  const args = ['export', `${secret}@v1.0.0`, ...since, ...recipients(), '-o', update, '--json']
  const made = await source.run(args)
  expect([made.code, JSON.parse(made.stdout)]).toMatchObject([
    0,
    { zips: 0, leftOut: expect.any(Number) },
  ])
  expect(await importAt(update, 0)).toMatchObject({ code: 0 })
  const wrong = await source.run(['export', '--all', '--recipient', 'age1nokey', '-o', update])
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('age1nokey') })
})

import { remoteStoreContract } from '@modmesh/fill/contract'
import { maxModBytes, parseModuleVersion } from '@modmesh/module'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { s3MaxRestarts, s3MaxRetries } from '../../src/remote-store/limits.ts'
import {
  failureOf,
  keys,
  modKey,
  modObject,
  module,
  never,
  noise,
  readZip,
  type S3Kit,
  sha256,
  startS3,
  zipKey,
  zipObject,
} from '../support/s3-kit.ts'

remoteStoreContract(
  'a bucket',
  async (state) => {
    const opened = await startS3()
    if (state === 'dead') await opened.fake.down()
    const dispose = async () => await opened[Symbol.asyncDispose]()
    return { store: opened.store, dispose }
  },
  sha256,
)

let kit: S3Kit
beforeEach(async () => {
  kit = await startS3()
})
afterEach(() => kit[Symbol.asyncDispose]())

const zip = noise(400_000)

describe('what is written', () => {
  test('is laid out as the GOPROXY protocol, with types, and names of ours', async () => {
    await kit.store.write(modObject('module m\n'), { ...never, overwrite: false })
    await kit.store.write(zipObject(zip), { ...never, overwrite: false })
    expect([...kit.fake.objects.keys()]).toEqual([modKey, zipKey])
    expect(kit.fake.objects.get(modKey)?.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'user-agent': 'test',
    })
    expect(kit.fake.objects.get(zipKey)?.headers).toMatchObject({
      'content-type': 'application/zip',
      'content-length': '400000',
      'x-amz-meta-h1': `h1:${'A'.repeat(43)}=`,
    })
  })

  test('a zip that is there is not sent a second time', async () => {
    await kit.store.write(zipObject(zip), { ...never, overwrite: false })
    kit.fake.seen.length = 0
    expect(await kit.store.write(zipObject(zip), { ...never, overwrite: false })).toBe('exists')
    expect(kit.fake.seen.map(({ method }) => method)).toEqual(['HEAD'])
  })

  test('a server without conditional writes is asked first, and asked no condition again', async () => {
    await using old = await startS3({ hasConditions: false })
    expect(await old.store.write(modObject('a'), { ...never, overwrite: false })).toBe('written')
    expect(await old.store.write(modObject('b'), { ...never, overwrite: false })).toBe('written')
    const puts = old.fake.seen.filter(({ method }) => method === 'PUT')
    expect(puts.map(({ headers }) => headers['if-none-match'])).toEqual(['*', undefined, undefined])
  })

  test('a body that the server does not take to its end is trouble, not written', async () => {
    kit.fake.fail(({ method }) => method === 'PUT', { kind: 'refuse-body', afterBytes: 100_000 })
    const error = await failureOf(kit.store.write(zipObject(zip), { ...never, overwrite: true }))
    expect(error.fault).toBe('unable')
    expect(kit.fake.objects.size).toBe(0)
  })

  test('bytes that are not what they are said to be are refused by the server', async () => {
    const [said, sent] = [zipObject(zip), zipObject(zip.toReversed())]
    const other = { ...said, zip: { ...said.zip, read: () => sent.zip.read() } }
    const error = await failureOf(kit.store.write(other, { ...never, overwrite: true }))
    expect(error.message).toContain('XAmzContentSHA256Mismatch')
    expect(kit.fake.objects.size).toBe(0)
  })

  test('a file that ends too early or goes on too long never becomes an object', async () => {
    for (const size of [zip.length + 5, zip.length - 5]) {
      const object = zipObject(zip)
      const wrong = { ...object, zip: { ...object.zip, size } }
      await expect(kit.store.write(wrong, { ...never, overwrite: true })).rejects.toThrow()
    }
    expect(kit.fake.objects.size).toBe(0)
  })

  test('to a bucket that is only read: the store says so before', async () => {
    expect((await kit.open('&access=read')).canWrite()).toBe(false)
  })

  test('a name too long for S3 is never there, and nothing is asked', async () => {
    const path = `example.com/${Array.from({ length: 110 }, () => 'abcdefghi').join('/')}`
    const long = parseModuleVersion(path, 'v1.0.0')
    expect(await kit.store.fetchFile(long, 'mod', never)).toBeUndefined()
    const object = { part: 'mod', module: long, bytes: Buffer.from('m') } as const
    expect(await kit.store.write(object, { ...never, overwrite: false })).toBe('exists')
    expect(kit.fake.seen).toEqual([])
  })
})

describe('a zip whose body is cut', () => {
  beforeEach(() => kit.fake.put(zipKey, zip))
  const isGet = ({ method }: { readonly method: string }) => method === 'GET'

  test('goes on where it was, under a condition', async () => {
    kit.fake.fail(isGet, { kind: 'cut', afterBytes: 150_000 }, 1)
    const read = await readZip(kit.store)
    expect(read).toEqual({ sha256: sha256(zip), resets: 0 })
    expect(kit.fake.seen[1]?.headers).toMatchObject({
      range: 'bytes=150000-',
      'if-match': expect.stringMatching(/^"[0-9a-f]{32}"$/),
    })
  })

  test('twice goes on twice, and a third time is trouble', async () => {
    kit.fake.fail(isGet, { kind: 'cut', afterBytes: 50_000 }, s3MaxRestarts)
    expect(await readZip(kit.store)).toEqual({ sha256: sha256(zip), resets: 0 })
    kit.fake.fail(isGet, { kind: 'cut', afterBytes: 50_000 }, s3MaxRestarts + 1)
    expect((await failureOf(readZip(kit.store))).fault).toBe('unable')
  })

  test('and replaced meanwhile is begun anew: never two objects in one zip', async () => {
    const other = noise(300_000).toReversed()
    kit.fake.fail(isGet, { kind: 'swap', afterBytes: 100_000, by: other }, 1)
    expect(await readZip(kit.store)).toEqual({ sha256: sha256(other), resets: 1 })
  })

  test('and gone meanwhile is absent, and what came is forgotten', async () => {
    kit.fake.fail(isGet, { kind: 'cut', afterBytes: 100_000 }, 1)
    let resets = 0
    const onReset = async () => {
      resets++
    }
    const sink = { write: async () => void kit.fake.objects.delete(zipKey) }
    expect(await kit.store.fetchZip(module, sink, { ...never, onReset })).toBe(false)
    expect(resets).toBeLessThanOrEqual(1)
  })

  test('without an etag is begun anew: nothing says that it is the same object', async () => {
    kit.fake.fail(isGet, { kind: 'cut', afterBytes: 100_000, etag: false }, 1)
    expect(await readZip(kit.store)).toEqual({ sha256: sha256(zip), resets: 1 })
    expect(kit.fake.seen[1]?.headers.range).toBeUndefined()
  })

  test('and answered with another range is wrong', async () => {
    kit.fake.fail(isGet, { kind: 'cut', afterBytes: 100_000 }, 1)
    kit.fake.fail(isGet, { kind: 'wrong-range' }, 1)
    const error = await failureOf(readZip(kit.store))
    expect([error.fault, error.message]).toEqual(['wrong', expect.stringContaining('range')])
  })

  test('declared longer than it is counts as cut', async () => {
    kit.fake.fail(isGet, { kind: 'wrong-length', by: 10 }, 1)
    const read = await readZip(kit.store)
    expect(read?.sha256).toBe(sha256(zip))
  })

  test('by a full disk of ours is not asked for again', async () => {
    const onBytes = () => Promise.reject(new Error('ENOSPC'))
    await expect(readZip(kit.store, { ...never, onBytes })).rejects.toThrow('ENOSPC')
    expect(kit.fake.seen).toHaveLength(1)
    expect(kit.store.health().readFailure).toBeUndefined()
  })

  test('that stalls ends with the signal, and the connection with it', async () => {
    kit.fake.fail(isGet, { kind: 'stall', afterBytes: 100_000 })
    const given = new AbortController()
    const onBytes = async () => given.abort(new Error('given up'))
    const reading = readZip(kit.store, { signal: given.signal, onBytes })
    await expect(reading).rejects.toThrow('given up')
  })
})

describe('what a bucket answers in place of an object', () => {
  test.for([404, 403, 400, 409, 500, 503, 429, 401, 418])(
    '%i is absent for 404 alone, else trouble',
    async (status) => {
      kit.fake.fail(() => true, { kind: 'error', status, code: 'Whatever' })
      const fetching = kit.store.fetchFile(module, 'mod', never)
      if (status === 404) {
        expect(await fetching).toBeUndefined()
        return
      }
      const error = await failureOf(fetching)
      expect(error.fault).toBe('unable')
      expect(error.message).toContain(`${status} Whatever`)
    },
  )

  test('404 for the bucket itself is trouble: it must not look like an empty one', async () => {
    kit.fake.fail(() => true, { kind: 'error', status: 404, code: 'NoSuchBucket' })
    expect((await failureOf(kit.store.fetchFile(module, 'mod', never))).fault).toBe('unable')
  })

  test('503 SlowDown, 429 and 500 are tried again, 403 is not', async () => {
    kit.fake.put(modKey, Buffer.from('module m\n'))
    for (const status of [503, 429, 500]) {
      kit.fake.fail(() => true, { kind: 'error', status, code: 'SlowDown' }, s3MaxRetries)
      const bytes = await kit.store.fetchFile(module, 'mod', never)
      expect(Buffer.from(bytes ?? []).toString()).toBe('module m\n')
    }
    kit.fake.seen.length = 0
    kit.fake.fail(() => true, { kind: 'error', status: 403, code: 'AccessDenied' }, 1)
    const error = await failureOf(kit.store.fetchFile(module, 'mod', never))
    expect(error.message).toContain('s3:ListBucket')
    expect(kit.fake.seen).toHaveLength(1)
  })

  test('a redirect is not followed: it leads to nobody we know', async () => {
    await using elsewhere = await startS3()
    elsewhere.fake.put(modKey, Buffer.from('module evil\n'))
    const to = `${elsewhere.fake.endpoint}/modules/${modKey}`
    kit.fake.fail(() => true, { kind: 'redirect', to })
    expect((await failureOf(kit.store.fetchFile(module, 'mod', never))).message).toContain('307')
    expect(elsewhere.fake.seen).toEqual([])
  })

  test.for(['mod', 'info', 'record', 'zip'] as const)(
    'a body without end in place of a small file (%s) is left in time',
    async (part) => {
      kit.fake.fail(() => true, { kind: 'endless' })
      if (part === 'zip') {
        // How large a zip may be is for the sink to say.
        const onBytes = () => Promise.reject(new Error('too large'))
        await expect(readZip(kit.store, { ...never, onBytes })).rejects.toThrow('too large')
        return
      }
      const fetching =
        part === 'record'
          ? kit.store.fetchRecord(module, never)
          : kit.store.fetchFile(module, part, never)
      const error = await failureOf(fetching)
      expect(error.fault).toBe('wrong')
      expect(error.message).toMatch(/more than \d+ bytes/)
    },
  )

  test('a go.mod of the largest size is taken, one byte more is wrong', async () => {
    kit.fake.put(modKey, new Uint8Array(maxModBytes))
    expect(await kit.store.fetchFile(module, 'mod', never)).toHaveLength(maxModBytes)
    kit.fake.put(modKey, new Uint8Array(maxModBytes + 1))
    expect((await failureOf(kit.store.fetchFile(module, 'mod', never))).fault).toBe('wrong')
  })

  test('a page in place of a record is wrong', async () => {
    kit.fake.fail(() => true, { kind: 'bytes', bytes: Buffer.from('<!doctype html>') })
    expect((await failureOf(kit.store.fetchRecord(module, never))).fault).toBe('wrong')
  })
})

describe('credentials', () => {
  const wrongKeys = { AWS_ACCESS_KEY_ID: keys.accessKeyId, AWS_SECRET_ACCESS_KEY: 'wrong/secret' }

  test('that are wrong are told as such', async () => {
    const store = await kit.open('', { ...wrongKeys, AWS_SESSION_TOKEN: keys.sessionToken })
    const error = await failureOf(store.fetchFile(module, 'mod', never))
    expect(error.message).toContain('403 SignatureDoesNotMatch')
  })

  test.for([
    ['a refused signature', { status: 403, code: 'SignatureDoesNotMatch' }],
    ['a session that is over', { status: 400, code: 'ExpiredToken' }],
    ['a code that is the key', { status: 403, code: keys.accessKeyId }],
    ['a code that is the secret', { status: 500, code: keys.secretAccessKey }],
  ] as const)('are in no error and no state of %s', async ([, { status, code }]) => {
    kit.fake.fail(() => true, { kind: 'error', status, code })
    const works = [
      () => kit.store.fetchFile(module, 'mod', never),
      () => readZip(kit.store),
      () => kit.store.write(modObject('m'), { ...never, overwrite: false }),
    ]
    for (const work of [...works, ...works]) {
      const error = await failureOf(work())
      expect(everything(error)).not.toMatch(/secret|AKID|Signature=|Credential=/i)
    }
    expect(JSON.stringify([kit.store.health(), kit.changes, kit.store.name])).not.toMatch(
      /secret|AKID|Signature=|Credential=/i,
    )
  })
})

/** All that a log could print of an error. */
function everything(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return `${error.stack} ${JSON.stringify(error)} ${everything(error.cause)}`
}

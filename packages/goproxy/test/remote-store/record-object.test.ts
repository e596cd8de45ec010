import { type RecordProof, RemoteError } from '@modmesh/fill'
import { parseModuleVersion } from '@modmesh/module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maxProofHashes, maxRecordBytes } from '../../src/remote-store/limits.ts'
import { formatRecordObject, parseRecordObject } from '../../src/remote-store/record-object.ts'
import { readS3ErrorCode } from '../../src/remote-store/s3-error-code.ts'

const module = parseModuleVersion('example.com/mod', 'v1.0.0')
const record: RecordProof = {
  database: 'sum.example.com',
  id: 7,
  text: 'example.com/mod v1.0.0 h1:AAAA\n',
  hashes: [new Uint8Array(32).fill(1)],
  head: 'go.sum database tree\n— sum.example.com AAAA\n',
}
const fields: Record<string, unknown> = JSON.parse(
  Buffer.from(formatRecordObject(module, record)).toString(),
)
const hash = Buffer.alloc(32).toString('base64')

describe('the object of a record', () => {
  test('gives the record back', () => {
    const read = parseRecordObject(module, formatRecordObject(module, record))
    expect({ ...read, hashes: read.hashes.map((each) => [...each]) }).toEqual({
      ...record,
      hashes: record.hashes.map((each) => [...each]),
    })
  })

  test('with the longest proof there is fits into its limit', () => {
    const hashes = Array.from({ length: maxProofHashes }, () => new Uint8Array(32).fill(255))
    const bytes = formatRecordObject(module, { ...record, hashes })
    expect(bytes.length).toBeLessThan(maxRecordBytes)
    expect(parseRecordObject(module, bytes).hashes).toHaveLength(maxProofHashes)
  })

  test.for([
    ['no JSON', '{'],
    ['not UTF-8', new Uint8Array([0xff, 0xfe])],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['another schema', { schema: 'modmesh.record/2' }],
    ['another module', { module: 'example.com/other@v1.0.0' }],
    ['another version', { module: 'example.com/mod@v1.0.1' }],
    ['no database', { database: undefined }],
    ['a text that is none', { text: ['h1:'] }],
    ['no head', { head: null }],
    ['a negative number', { id: -1 }],
    ['a number with a fraction', { id: 1.5 }],
    ['a number beyond all', { id: 1e300 }],
    ['a number as text', { id: '7' }],
    ['no hashes', { hashes: undefined }],
    ['hashes as an object', { hashes: { length: 1 } }],
    ['too many hashes', { hashes: Array.from({ length: maxProofHashes + 1 }, () => hash) }],
    ['a short hash', { hashes: [hash.slice(4)] }],
    ['a hash that is none', { hashes: [null] }],
  ] as const)('that is %s is wrong', ([, change]) => {
    const bytes =
      typeof change === 'string' || change instanceof Uint8Array
        ? Buffer.from(change)
        : Buffer.from(JSON.stringify({ ...fields, ...change }))
    const parse = () => parseRecordObject(module, bytes)
    expect(parse).toThrow(RemoteError)
    expect(parse).toThrow(expect.objectContaining({ fault: 'wrong' }))
  })

  test('of any bytes is a record or wrong, never anything else', () => {
    const anything = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => Buffer.from(text)),
      fc.record({ id: fc.anything(), hashes: fc.anything(), text: fc.anything() }).map((change) => {
        // JSON knows no functions, symbols, big numbers or cycles.
        const safe = JSON.stringify({ ...fields, ...change }, (_, value: unknown) =>
          typeof value === 'bigint' ? 0 : value,
        )
        return Buffer.from(safe)
      }),
    )
    fc.assert(
      fc.property(anything, (bytes) => {
        try {
          expect(parseRecordObject(module, bytes)).toMatchObject({ database: record.database })
        } catch (error) {
          expect(error).toBeInstanceOf(RemoteError)
        }
      }),
    )
  })
})

describe('the code of an error answer', () => {
  const read = (text: string, max = 4_096) =>
    readS3ErrorCode(
      (async function* () {
        yield Buffer.from(text)
      })(),
      max,
    )

  test.for([
    ['<?xml version="1.0"?><Error><Code>SlowDown</Code></Error>', 'SlowDown'],
    ['<Error><Code>A</Code><Code>B</Code></Error>', 'A'],
    ['', ''],
    ['<Code>', ''],
    ['</Code><Code>', ''],
    ['<Code>XAmzContentSHA256Mismatch</Code>', 'XAmzContentSHA256Mismatch'],
    ['<Code>a/b+c=</Code>', ''],
    ['<Code>a b</Code>', ''],
    [`<Code>${'a'.repeat(65)}</Code>`, ''],
    ['<html>503</html>', ''],
  ] as const)('of %o is %o', async ([text, code]) => {
    expect(await read(text)).toBe(code)
  })

  test('is looked for at the beginning only, and a body that breaks off is no trouble', async () => {
    expect(await read(`${' '.repeat(100)}<Code>SlowDown</Code>`, 64)).toBe('')
    const broken = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('<Code>SlowDown</Code>')
      throw new Error('reset')
    }
    expect(await readS3ErrorCode(broken(), 4_096)).toBe('SlowDown')
  })
})

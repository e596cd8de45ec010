import { describe, expect, test } from 'vitest'
import { InvalidS3UrlError } from '../../src/errors.ts'
import { formatS3Location, parseS3Url } from '../../src/remote-store/s3-location.ts'

describe('--s3', () => {
  test('names a bucket; the rest comes from the usual settings', () => {
    expect(parseS3Url('s3://modules')).toEqual({
      bucket: 'modules',
      prefix: '',
      endpoint: undefined,
      region: undefined,
      style: undefined,
      access: 'write',
      profile: undefined,
    })
  })

  test('may say everything itself', () => {
    const text =
      's3://modules/go/v?endpoint=https://minio.corp.example:9000&region=eu-1&style=path&access=read&profile=ci'
    expect(parseS3Url(text)).toEqual({
      bucket: 'modules',
      prefix: 'go/v',
      endpoint: new URL('https://minio.corp.example:9000'),
      region: 'eu-1',
      style: 'path',
      access: 'read',
      profile: 'ci',
    })
  })

  test.for([
    ['s3://modules/', 's3://modules'],
    ['s3://modules//go//', 's3://modules/go'],
    ['s3://modules/a%20b?endpoint=http://127.0.0.1:9000', 's3://modules/a b'],
  ] as const)('%o is shown as %o', ([text, shown]) => {
    expect(formatS3Location(parseS3Url(text))).toBe(shown)
  })

  test.for([
    'modules',
    'https://modules',
    's3://',
    's3://ab',
    's3://Modules!',
    's3://-modules',
    's3://modules.',
    's3://10.0.0.1',
    's3://modules:9000',
    's3://modules#go',
    's3://key:secret@modules',
    's3://modules/..%2fother',
    's3://modules/%ff',
    's3://modules?style=other',
    's3://modules?access=',
    's3://modules?access=all',
    's3://modules?region=a&region=b',
    's3://modules?acl=public',
    's3://modules?endpoint=ftp://host',
    's3://modules?endpoint=https://host/path',
    's3://modules?endpoint=https://user:pass@host',
    's3://modules?endpoint=host:9000',
  ])('%o is refused, and nothing of it is repeated that may be secret', (text) => {
    const refused = () => parseS3Url(text)
    expect(refused).toThrow(InvalidS3UrlError)
    expect(refused).not.toThrow(/secret|pass@/)
  })
})

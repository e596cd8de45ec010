import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { InvalidS3UrlError, NoS3CredentialsError } from '../../src/errors.ts'
import { parseAwsFile } from '../../src/remote-store/aws-files.ts'
import { AwsSettings } from '../../src/remote-store/aws-settings.ts'

let home = ''

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'modmesh-aws-'))
  await mkdir(join(home, '.aws'))
})
afterEach(() => rm(home, { recursive: true, force: true }))

async function files(credentials: string, config = ''): Promise<void> {
  await writeFile(join(home, '.aws', 'credentials'), credentials)
  await writeFile(join(home, '.aws', 'config'), config)
}

function settings(env: Record<string, string> = {}, profile?: string): AwsSettings {
  return new AwsSettings({ env, home }, { profile })
}

const keys = (name: string, id: string): string =>
  `[${name}]\naws_access_key_id = ${id}\naws_secret_access_key=${id}-secret/+=\n`

describe('credentials', () => {
  test('come from the environment first', async () => {
    await files(keys('default', 'FILE'))
    const env = { AWS_ACCESS_KEY_ID: 'ENV', AWS_SECRET_ACCESS_KEY: 's', AWS_SESSION_TOKEN: 't' }
    expect(await settings(env).credentials()).toEqual({
      accessKeyId: 'ENV',
      secretAccessKey: 's',
      sessionToken: 't',
    })
  })

  test('half of them in the environment count for nothing', async () => {
    await files(keys('default', 'FILE'))
    const found = await settings({ AWS_ACCESS_KEY_ID: 'ENV' }).credentials()
    expect(found).toEqual({
      accessKeyId: 'FILE',
      secretAccessKey: 'FILE-secret/+=',
      sessionToken: undefined,
    })
  })

  test.for([
    [{}, undefined, 'DEFAULT'],
    [{ AWS_PROFILE: 'ci' }, undefined, 'CI'],
    [{ AWS_DEFAULT_PROFILE: 'ci' }, undefined, 'CI'],
    [{ AWS_PROFILE: 'default' }, 'ci', 'CI'],
    [{ AWS_ACCESS_KEY_ID: 'ENV', AWS_SECRET_ACCESS_KEY: 's' }, 'ci', 'CI'],
    [{ AWS_PROFILE: 'only-config' }, undefined, 'CONFIG'],
  ] as const)('with %o and profile %o are those of %o', async ([env, profile, id]) => {
    await files(
      keys('default', 'DEFAULT') + keys('ci', 'CI'),
      keys('profile only-config', 'CONFIG'),
    )
    expect((await settings({ ...env }, profile).credentials()).accessKeyId).toBe(id)
  })

  test('may be in files that the environment names', async () => {
    const path = join(home, 'elsewhere')
    await writeFile(path, keys('default', 'ELSEWHERE'))
    const found = await settings({ AWS_SHARED_CREDENTIALS_FILE: path }).credentials()
    expect(found.accessKeyId).toBe('ELSEWHERE')
  })

  test('that are nowhere: the error names the profile, and where to put them', async () => {
    const lookup = settings({}, 'ci').credentials()
    await expect(lookup).rejects.toThrow(NoS3CredentialsError)
    await expect(lookup).rejects.toThrow(/AWS_ACCESS_KEY_ID.*profile ci/)
  })

  test('of a file are kept for a while, and read again when the bucket refused them', async () => {
    await files(keys('default', 'OLD'))
    const kept = settings()
    expect((await kept.credentials()).accessKeyId).toBe('OLD')
    await files(keys('default', 'NEW'))
    expect((await kept.credentials()).accessKeyId).toBe('OLD')
    kept.renew()
    expect((await kept.credentials()).accessKeyId).toBe('NEW')
  })
})

describe('region and endpoint', () => {
  test('have the usual sources in the usual order', async () => {
    await files('', '[default]\nregion = eu-file-1\nendpoint_url = http://file.test:1\n')
    expect(await settings().region()).toBe('eu-file-1')
    expect(await settings({ AWS_DEFAULT_REGION: 'eu-2' }).region()).toBe('eu-2')
    expect(await settings({ AWS_DEFAULT_REGION: 'eu-2', AWS_REGION: 'eu-1' }).region()).toBe('eu-1')
    expect((await settings().endpoint())?.origin).toBe('http://file.test:1')
    const env = { AWS_ENDPOINT_URL: 'http://all.test', AWS_ENDPOINT_URL_S3: 'http://s3.test' }
    expect((await settings(env).endpoint())?.origin).toBe('http://s3.test')
  })

  test('are us-east-1 and that of AWS where nobody says more', async () => {
    expect(await settings().region()).toBe('us-east-1')
    expect(await settings().endpoint()).toBeUndefined()
  })

  test('an endpoint of the environment that is none is refused', async () => {
    const lookup = settings({ AWS_ENDPOINT_URL_S3: 'minio:9000' }).endpoint()
    await expect(lookup).rejects.toThrow(InvalidS3UrlError)
  })
})

describe('an AWS file', () => {
  test('is sections of keys; comments, nested settings and noise are skipped', () => {
    const text =
      'stray = 1\n# [a]\n[ a ]\nx = 1 = 2\n; y = 3\n#z=4\ns3 =\n  x = nested\n\ty = nested\nnoise\n[profile b]\r\nx=2\r\n[unclosed\nx=9\n'
    const sections = parseAwsFile(text)
    expect([...sections.keys()]).toEqual(['a', 'b'])
    expect([...(sections.get('a') ?? [])]).toEqual([['x', '1 = 2']])
    expect(sections.get('b')?.get('x')).toBe('9')
  })

  test('names of objects of the language are names as any other', () => {
    const sections = parseAwsFile('[__proto__]\nconstructor = 1\n')
    expect(sections.get('__proto__')?.get('constructor')).toBe('1')
    expect(sections.get('toString')).toBeUndefined()
  })
})

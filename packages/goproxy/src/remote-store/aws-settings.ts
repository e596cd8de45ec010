import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { NoS3CredentialsError } from '../errors.ts'
import { type AwsProfile, parseAwsFile } from './aws-files.ts'
import { credentialsMs } from './limits.ts'
import { parseEndpoint } from './s3-location.ts'

/** What requests are signed with. Never logged. */
export interface AwsCredentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | undefined
}

/** Where AWS settings are found. */
export interface AwsSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
}

const noProfile: AwsProfile = new Map()

/**
 * The AWS settings of this host, found as the AWS command line finds them: the environment, then the
 * profile in the two files. A profile that was named for us wins over keys in the environment.
 */
export class AwsSettings {
  readonly #around: AwsSurroundings
  readonly #named: string | undefined
  #kept: { readonly credentials: AwsCredentials; readonly untilMs: number } | undefined

  constructor(around: AwsSurroundings, init: { readonly profile: string | undefined }) {
    this.#around = around
    this.#named = init.profile
  }

  /** The environment itself, which also names proxies. */
  get env(): AwsSurroundings['env'] {
    return this.#around.env
  }

  /** Throws NoS3CredentialsError. Those of a file are read again after a while. */
  async credentials(): Promise<AwsCredentials> {
    const fromEnv = this.#named === undefined ? envCredentials(this.#around.env) : undefined
    if (fromEnv !== undefined) return fromEnv
    const nowMs = performance.now()
    if (this.#kept !== undefined && nowMs < this.#kept.untilMs) return this.#kept.credentials
    const credentials = profileCredentials(await this.#profile('credentials'))
    const found = credentials ?? profileCredentials(await this.#profile('config'))
    if (found === undefined) throw new NoS3CredentialsError(this.#profileName())
    this.#kept = { credentials: found, untilMs: nowMs + credentialsMs }
    return found
  }

  /** Forgets what was read: the bucket refused it. */
  renew(): void {
    this.#kept = undefined
  }

  async region(): Promise<string> {
    const { env } = this.#around
    const fromEnv = env['AWS_REGION'] || env['AWS_DEFAULT_REGION']
    return fromEnv || (await this.#profile('config')).get('region') || 'us-east-1'
  }

  /** Throws InvalidS3UrlError. */
  async endpoint(): Promise<URL | undefined> {
    const { env } = this.#around
    const fromEnv = env['AWS_ENDPOINT_URL_S3'] || env['AWS_ENDPOINT_URL']
    const text = fromEnv || (await this.#profile('config')).get('endpoint_url')
    return text === undefined ? undefined : parseEndpoint(text)
  }

  #profileName(): string {
    const { env } = this.#around
    return this.#named ?? (env['AWS_PROFILE'] || env['AWS_DEFAULT_PROFILE'] || 'default')
  }

  async #profile(file: 'credentials' | 'config'): Promise<AwsProfile> {
    const { env, home } = this.#around
    const variable = file === 'config' ? 'AWS_CONFIG_FILE' : 'AWS_SHARED_CREDENTIALS_FILE'
    const text = await readIfThere(env[variable] || join(home, '.aws', file))
    return parseAwsFile(text).get(this.#profileName()) ?? noProfile
  }
}

function envCredentials(env: AwsSurroundings['env']): AwsCredentials | undefined {
  const accessKeyId = env['AWS_ACCESS_KEY_ID']
  const secretAccessKey = env['AWS_SECRET_ACCESS_KEY']
  if (!accessKeyId || !secretAccessKey) return undefined
  return { accessKeyId, secretAccessKey, sessionToken: env['AWS_SESSION_TOKEN'] || undefined }
}

function profileCredentials(profile: AwsProfile): AwsCredentials | undefined {
  const accessKeyId = profile.get('aws_access_key_id')
  const secretAccessKey = profile.get('aws_secret_access_key')
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined
  return { accessKeyId, secretAccessKey, sessionToken: profile.get('aws_session_token') }
}

/** A file that is not there, or that we may not read, says nothing. */
async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    // Whatever keeps us from it: without credentials the start fails and says where they were looked for.
    return ''
  }
}

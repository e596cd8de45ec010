import { createCipheriv, createHash } from 'node:crypto'
import { type HeldZip, RemoteError, type RemoteObject } from '@modmesh/fill'
import { parseModuleVersion, parseZipDigest, parseZipHash } from '@modmesh/module'
import { S3Fake, type S3FakeInit } from '../../../../test/support/s3-fake.ts'
import { parseS3Url, type S3Change, S3RemoteStore } from '../../src/index.ts'

export const module = parseModuleVersion('example.com/mod', 'v1.0.0')
export const zipKey = 'go/v1/example.com/mod/@v/v1.0.0.zip'
export const modKey = 'go/v1/example.com/mod/@v/v1.0.0.mod'

/** What a request is signed with; none of it may ever be shown. */
export const keys = {
  accessKeyId: 'AKIDSECRETID',
  secretAccessKey: 'very/secret+key',
  sessionToken: 'secret-session-token',
} as const
const env: Readonly<Record<string, string>> = {
  AWS_ACCESS_KEY_ID: keys.accessKeyId,
  AWS_SECRET_ACCESS_KEY: keys.secretAccessKey,
  AWS_SESSION_TOKEN: keys.sessionToken,
}

/** Short enough for tests, and long enough for a busy machine. */
export const shortLimits = { connectMs: 400, firstByteMs: 400, stallMs: 400 } as const

/** A bucket that misbehaves on command, and a store on it. */
export interface S3Kit extends AsyncDisposable {
  readonly fake: S3Fake
  readonly store: S3RemoteStore
  readonly changes: S3Change[]
  /** Another store on the same bucket. */
  open(parameters?: string, env?: Readonly<Record<string, string>>): Promise<S3RemoteStore>
}

export async function startS3(
  init: Partial<S3FakeInit> & { readonly limits?: Record<keyof typeof shortLimits, number> } = {},
): Promise<S3Kit> {
  const stack = new AsyncDisposableStack()
  const fake = stack.use(await S3Fake.start({ ...keys, ...init }))
  const changes: S3Change[] = []
  const open = async (parameters = '', ofEnv = env): Promise<S3RemoteStore> => {
    const url = `s3://${fake.bucket}/go?endpoint=${fake.endpoint}&region=eu-1${parameters}`
    const around = { env: ofEnv, home: '/nowhere' }
    const more = {
      caFile: undefined,
      userAgent: 'test',
      onChange: (change: S3Change) => changes.push(change),
      ...(init.limits && { limits: init.limits }),
    }
    return stack.use(await S3RemoteStore.open({ around }, { location: parseS3Url(url), ...more }))
  }
  const store = await open()
  return { fake, store, changes, open, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

export const never: { readonly signal: AbortSignal } = { signal: new AbortController().signal }

/** Bytes of which no two places look alike; always the same. */
export function noise(size: number): Uint8Array {
  return createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)).update(
    Buffer.alloc(size),
  )
}

export function zipObject(bytes: Uint8Array): Extract<RemoteObject, { readonly part: 'zip' }> {
  const zip: HeldZip = {
    module,
    zipHash: parseZipHash(`h1:${'A'.repeat(43)}=`),
    zipDigest: parseZipDigest(sha256(bytes)),
    size: bytes.length,
    proof: { kind: 'go-sum' },
    async *read() {
      for (let at = 0; at < bytes.length; at += 65_536) yield bytes.slice(at, at + 65_536)
    },
  }
  return { part: 'zip', module, zip }
}

export function modObject(text: string): RemoteObject {
  return { part: 'mod', module, bytes: Buffer.from(text) }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** A zip as it arrived: its hash, since a difference of large arrays takes minutes to print. */
export interface ReadZip {
  readonly sha256: string
  readonly resets: number
}

export async function readZip(
  store: S3RemoteStore,
  options: {
    readonly signal: AbortSignal
    readonly onBytes?: (length: number) => Promise<void>
  } = never,
): Promise<ReadZip | undefined> {
  let chunks: Uint8Array[] = []
  let resets = 0
  const sink = {
    write: async (chunk: Uint8Array) => {
      chunks.push(Buffer.from(chunk))
      await options.onBytes?.(chunk.length)
    },
  }
  const onReset = async () => {
    chunks = []
    resets++
  }
  const found = await store.fetchZip(module, sink, { ...options, onReset })
  return found ? { sha256: sha256(Buffer.concat(chunks)), resets } : undefined
}

/** What a request of the store fails with. */
export async function failureOf(work: Promise<unknown>): Promise<RemoteError> {
  const failure = await work.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (failure instanceof RemoteError) return failure
  throw new Error('it did not fail as a remote store does', { cause: failure })
}

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type TestAPI, test } from 'vitest'
import { freePort } from './free-port.ts'

/** Its only user. */
const user = { id: 'modmesh-test', secret: 'modmesh-test-secret' } as const
const region = 'eu-test-1'
const startMs = 60_000

/**
 * `test`, skipped with the reason when there is no `versitygw`; with MODMESH_REQUIRE_TOOLS=1 it is not
 * skipped, and fails.
 */
export const s3Test: TestAPI = hasServer() ? test : (test.skip as unknown as TestAPI)

/** A real S3-compatible server over a folder: an object is the file of its key below its bucket. */
export class S3Server implements AsyncDisposable {
  readonly #dir: string
  readonly #port: number
  #process: ChildProcess | undefined

  static async start(): Promise<S3Server> {
    const dir = await mkdtemp(join(tmpdir(), 'modmesh-s3-'))
    await Promise.all(['data', 'meta'].map((name) => mkdir(join(dir, name))))
    const server = new S3Server(dir, await freePort())
    await server.up()
    return server
  }

  private constructor(dir: string, port: number) {
    this.#dir = dir
    this.#port = port
  }

  /** What a client needs, as the AWS command line has it. */
  get env(): Readonly<Record<string, string>> {
    return {
      AWS_ACCESS_KEY_ID: user.id,
      AWS_SECRET_ACCESS_KEY: user.secret,
      AWS_ENDPOINT_URL_S3: this.endpoint,
      AWS_REGION: region,
    }
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async makeBucket(name: string): Promise<void> {
    await mkdir(join(this.#dir, 'data', name))
  }

  /** Where an object is on this disk. */
  fileOf(bucket: string, key: string): string {
    return join(this.#dir, 'data', bucket, key)
  }

  /** The keys of a bucket, sorted. */
  async keys(bucket: string): Promise<string[]> {
    const root = join(this.#dir, 'data', bucket)
    const entries = await readdir(root, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile())
    return files.map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1)).sort()
  }

  /** Kills it, as a machine that goes away. */
  async down(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Starts it on the same port and folder as before. */
  async up(): Promise<void> {
    const [data, meta] = ['data', 'meta'].map((name) => join(this.#dir, name))
    // Not every file system of a test machine knows extended attributes: what it notes is beside.
    const backend = ['posix', '--sidecar', String(meta), String(data)]
    const global = ['--port', `127.0.0.1:${this.#port}`, '--region', region, '--quiet']
    const env = {
      PATH: process.env['PATH'],
      HOME: this.#dir,
      ROOT_ACCESS_KEY_ID: user.id,
      ROOT_SECRET_ACCESS_KEY: user.secret,
    }
    const child = spawn('versitygw', [...global, ...backend], { env, stdio: 'pipe' })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text))
    this.#process = child
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject)
      child.once('exit', () => reject(new Error(`versitygw ended: ${said}`)))
    })
    await Promise.race([answers(this.#port), failed])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
    await rm(this.#dir, { recursive: true, force: true })
  }
}

async function answers(port: number): Promise<void> {
  const untilMs = Date.now() + startMs
  while (Date.now() < untilMs) {
    if (await canConnect(port)) return
    await sleep(20)
  }
  throw new Error(`versitygw does not answer within ${startMs} ms`)
}

async function canConnect(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    // Not yet.
    return false
  } finally {
    socket.destroy()
  }
}

function hasServer(): boolean {
  if (spawnSync('versitygw', ['--version']).status === 0) return true
  if (process.env['MODMESH_REQUIRE_TOOLS'] === '1') return true
  console.warn('skipped: these tests need versitygw, an S3 server, in PATH (docs/howto/s3.md)')
  return false
}

import { execFile, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { type TestAPI, test } from 'vitest'

const run = promisify(execFile)

/**
 * `test`, skipped with the reason where no network namespace can be made; with MODMESH_REQUIRE_TOOLS=1 it is not
 * skipped, and fails.
 */
export const namespaceTest: TestAPI = canMakeNamespaces() ? test : (test.skip as unknown as TestAPI)

/** A network of its own with one cable to this host, as a container on a bridge has it. */
export class NetworkNamespace implements AsyncDisposable {
  readonly name: string
  /** This host's end of the cable, where a container finds it. */
  readonly hostAddress: string

  /** `hostName` means this host inside, as `--add-host` does it. */
  static async make(init: { readonly hostName?: string } = {}): Promise<NetworkNamespace> {
    const namespace = new NetworkNamespace()
    try {
      await namespace.#make(init.hostName)
    } catch (error) {
      await namespace[Symbol.asyncDispose]()
      throw error
    }
    return namespace
  }

  private constructor() {
    const [a = 0, b = 0, c = 0, d = 0] = randomBytes(4)
    // 198.18.0.0/15 is set apart for tests (RFC 2544).
    this.hostAddress = `198.${18 + (a & 1)}.${b}.${(c & 0xfc) | 1}`
    this.name = `modmesh-${Buffer.of(a, b, c, d).toString('hex')}`
  }

  /** Program and arguments that run the command behind them inside. */
  get through(): readonly string[] {
    return ['ip', 'netns', 'exec', this.name]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The cable goes with it.
    await run('ip', ['netns', 'del', this.name])
    await rm(`/etc/netns/${this.name}`, { recursive: true, force: true })
  }

  async #make(hostName: string | undefined): Promise<void> {
    const { name, hostAddress } = this
    const id = name.slice('modmesh-'.length)
    const inside = hostAddress.slice(0, hostAddress.lastIndexOf('.') + 1)
    const last = Number(hostAddress.split('.').at(-1)) + 1
    if (hostName !== undefined) {
      await mkdir(`/etc/netns/${name}`, { recursive: true })
      await writeFile(
        `/etc/netns/${name}/hosts`,
        `127.0.0.1 localhost\n${hostAddress} ${hostName}\n`,
      )
    }
    await ip(`netns add ${name}`)
    await ip(`link add mmh${id} type veth peer name mmc${id} netns ${name}`)
    await ip(`addr add ${hostAddress}/30 dev mmh${id}`)
    await ip(`link set mmh${id} up`)
    await ip(`-n ${name} addr add ${inside}${last}/30 dev mmc${id}`)
    await ip(`-n ${name} link set mmc${id} up`)
    await ip(`-n ${name} link set lo up`)
  }
}

async function ip(words: string): Promise<void> {
  await run('ip', words.split(' '))
}

function canMakeNamespaces(): boolean {
  const name = `modmesh-probe-${process.pid}`
  const made = spawnSync('ip', ['netns', 'add', name])
  spawnSync('ip', ['netns', 'del', name])
  if (made.status === 0 || process.env['MODMESH_REQUIRE_TOOLS'] === '1') return true
  const reason = made.error?.message ?? made.stderr.toString().trim()
  console.warn(`skipped: these tests need root and ip netns (${reason})`)
  return false
}

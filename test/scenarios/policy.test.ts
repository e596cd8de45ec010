import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect } from 'vitest'
import { FakeUpstream } from '../support/fake-upstream.ts'
import { GoHome, type GoResult, goTest } from '../support/go.ts'
import { filePath } from '../support/mesh.ts'
import { type StartedNode, startNode } from '../support/start-node.ts'

const hourMs = 3_600_000
const fine = { path: 'example.com/fine', version: 'v1.0.0' }
/** Published an hour before the test. */
const young = {
  path: 'example.com/fine',
  version: 'v1.1.0',
  time: `${new Date(Date.now() - hourMs).toISOString().slice(0, 19)}Z`,
}
const banned = { path: 'example.com/banned', version: 'v1.0.0' }
const good = { path: 'example.com/mixed', version: 'v1.0.0' }
const broken = { path: 'example.com/mixed', version: 'v1.2.0' }
const user = {
  path: 'example.com/user',
  version: 'v1.0.0',
  files: {
    'go.mod': 'module example.com/user\n\ngo 1.20\n\nrequire example.com/banned v1.0.0\n',
    'user.go': 'package user\n\nimport _ "example.com/banned"\n',
  },
}

let upstream: FakeUpstream
let dir: string
const started: AsyncDisposable[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-policy-'))
  upstream = await FakeUpstream.start({ modules: [fine, young, banned, good, broken, user] })
})
afterEach(async () => {
  for (const each of started.splice(0)) await each[Symbol.asyncDispose]()
  await upstream[Symbol.asyncDispose]()
  await rm(dir, { recursive: true, force: true })
})

async function start(...policy: readonly string[]): Promise<StartedNode> {
  const args = ['--upstream', upstream.url, '--sumdb', upstream.gosumdb, ...policy]
  const node = await startNode({ args, dir })
  started.push(node)
  return node
}

/** A `go` that has never been here. Behind the node its list names the upstream itself, which a refusal must not reach. */
async function go(node: StartedNode, ...args: readonly string[]): Promise<GoResult> {
  await using home = await GoHome.make({
    proxy: `${node.url},${upstream.url}`,
    sumdb: upstream.sumdb.keyText,
  })
  const cwd = await home.project({ 'go.mod': 'module example.com/main\n\ngo 1.20\n' })
  return await home.run(args, { cwd })
}

function at({ path, version }: { readonly path: string; readonly version: string }): string {
  return `${path}@${version}`
}

describe('a rule', () => {
  goTest('denies with its reason, which go prints, and go asks nobody else', async () => {
    const node = await start(
      '--policy',
      'deny example.com/banned # use example.com/fine, see SEC-42',
    )
    const direct = await go(node, 'mod', 'download', at(banned))
    expect(direct.code).toBe(1)
    expect(direct.stderr).toContain('403 Forbidden')
    expect(direct.stderr).toContain('example.com/banned')
    expect(direct.stderr).toContain('rule: deny example.com/banned')
    expect(direct.stderr).toContain('reason: use example.com/fine, see SEC-42')
    const latest = await go(node, 'list', '-m', 'example.com/banned@latest')
    expect(latest.stderr).toContain('reason: use example.com/fine, see SEC-42')
    const indirect = await go(node, 'get', at(user))
    expect(indirect.code).toBe(1)
    expect(indirect.stderr).toContain('reason: use example.com/fine, see SEC-42')
    expect(upstream.requests.filter(({ path }) => path.startsWith('/example.com/banned'))).toEqual(
      [],
    )
    expect(await go(node, 'mod', 'download', at(fine))).toMatchObject({ code: 0 })
  })

  goTest('of versions hides them, and latest is the newest that is left', async () => {
    const node = await start('--policy', 'deny example.com/mixed@>=v1.1.0 # CVE-2026-1')
    const versions = await go(node, 'list', '-m', '-versions', 'example.com/mixed')
    expect(versions.stdout).toBe('example.com/mixed v1.0.0\n')
    const latest = await go(node, 'list', '-m', 'example.com/mixed@latest')
    expect(latest.stdout).toBe('example.com/mixed v1.0.0\n')
    const named = await go(node, 'mod', 'download', at(broken))
    expect(named.stderr).toContain('reason: CVE-2026-1')
  })

  goTest('of a list of what is allowed denies all else', async () => {
    const rules = 'allow example.com/fine,example.com/user; deny * # ask the platform team'
    const node = await start('--policy', rules)
    expect(await go(node, 'mod', 'download', at(fine))).toMatchObject({ code: 0 })
    const denied = await go(node, 'mod', 'download', at(good))
    expect(denied.stderr).toContain('reason: ask the platform team')
  })

  goTest('counts for what is held, too', async () => {
    const before = await start()
    expect(await go(before, 'mod', 'download', at(banned))).toMatchObject({ code: 0 })
    await before.end()
    const node = await start('--policy', 'deny example.com/banned')
    expect((await go(node, 'mod', 'download', at(banned))).stderr).toContain('403 Forbidden')
    for (const suffix of ['info', 'mod', 'zip'] as const) {
      const { status } = await fetch(`${node.url}/cached-only${filePath(banned, suffix)}`)
      expect(status, suffix).toBe(403)
    }
  })
})

describe('a minimum age', () => {
  goTest('keeps back what was just published, and says until when', async () => {
    const node = await start('--min-age', '7d')
    const latest = await go(node, 'list', '-m', 'example.com/fine@latest')
    expect(latest.stdout).toBe('example.com/fine v1.0.0\n')
    const named = await go(node, 'mod', 'download', at(young))
    expect(named.code).toBe(1)
    expect(named.stderr).toContain('too new: published')
    expect(named.stderr).toContain('the minimum age here is 7d: to be had in 7d')
    expect(await go(node, 'mod', 'download', at(fine))).toMatchObject({ code: 0 })
  })

  goTest('is another one where a rule says so', async () => {
    const node = await start('--min-age', '7d', '--policy', 'allow example.com/fine min-age=30m')
    expect(await go(node, 'mod', 'download', at(young))).toMatchObject({ code: 0 })
  })
})

describe('a validator', () => {
  goTest('is asked for each version as Athens asks, and its word is what go prints', async () => {
    const validator = await startValidator(({ module }) =>
      module === banned.path ? 'no licence: ask legal@example.com' : undefined,
    )
    const node = await start('--validator', validator.url)
    expect(await go(node, 'mod', 'download', at(fine))).toMatchObject({ code: 0 })
    const denied = await go(node, 'mod', 'download', at(banned))
    expect(denied.stderr).toContain('403 Forbidden')
    expect(denied.stderr).toContain('no licence: ask legal@example.com')
    const { method, body } = validator.asked[0] ?? {}
    expect(method).toBe('POST')
    expect(body).toMatchObject({ Module: fine.path, Version: fine.version })
    expect(upstream.requests.filter(({ path }) => path.startsWith('/example.com/banned'))).toEqual(
      [],
    )
  })

  goTest('that is gone closes the door, and that is trouble and no refusal', async () => {
    const validator = await startValidator(() => undefined)
    const node = await start('--validator', validator.url)
    await validator[Symbol.asyncDispose]()
    const { code, stderr } = await go(node, 'mod', 'download', at(fine))
    expect(code).toBe(1)
    expect(stderr).toContain('503 Service Unavailable')
    expect(stderr).toContain('validator')
    expect(upstream.count(filePath(fine, 'zip'))).toBe(0)
  })

  goTest('that is gone leaves the door open where that is wanted', async () => {
    const validator = await startValidator(() => undefined)
    const node = await start('--validator', validator.url, '--validator-failure', 'open')
    await validator[Symbol.asyncDispose]()
    expect(await go(node, 'mod', 'download', at(fine))).toMatchObject({ code: 0 })
  })
})

describe('the audit file', () => {
  goTest('has one line for each module version that was let in', async () => {
    const node = await start('--policy', 'deny example.com/banned')
    await go(node, 'mod', 'download', at(fine))
    await go(node, 'mod', 'download', at(fine))
    await go(node, 'mod', 'download', at(banned))
    await go(node, 'mod', 'download', at(good))
    await expect.poll(() => auditLines()).toHaveLength(2)
    expect(await auditLines()).toMatchObject(
      [fine, good].map(({ path: module, version }) => ({
        module,
        version,
        asker: { kind: 'client', address: '127.0.0.1' },
        source: { kind: 'upstream', from: upstream.url },
        proof: { kind: 'checksum-db', database: upstream.sumdb.name },
        zipHash: expect.stringMatching(/^h1:/),
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      })),
    )
    await node.end()
    const again = await start()
    await go(again, 'mod', 'download', at(fine))
    await again.end()
    expect(await auditLines()).toHaveLength(2)
  })

  goTest('is begun anew when it is large, and the old ones are kept', async () => {
    await mkdir(join(dir, 'audit'), { recursive: true, mode: 0o700 })
    const old = `${JSON.stringify({ module: 'x'.repeat(1_000) })}\n`.repeat(10_600)
    await writeFile(join(dir, 'audit', 'audit.jsonl'), old)
    const node = await start()
    await go(node, 'mod', 'download', at(fine))
    await expect.poll(() => auditLines()).toMatchObject([{ module: fine.path }])
    expect((await readdir(join(dir, 'audit'))).toSorted()).toEqual(['audit.jsonl', 'audit.jsonl.1'])
    expect(await readFile(join(dir, 'audit', 'audit.jsonl.1'), 'utf8')).toBe(old)
  })
})

async function auditLines(): Promise<readonly unknown[]> {
  const text = await readFile(join(dir, 'audit', 'audit.jsonl'), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
}

interface Validator extends AsyncDisposable {
  readonly url: string
  readonly asked: { readonly method: string | undefined; readonly body: unknown }[]
}

/** Denies what `judge` has a text for, as an Athens validator does. */
async function startValidator(
  judge: (body: { readonly module?: string }) => string | undefined,
): Promise<Validator> {
  const asked: Validator['asked'] = []
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const text = Buffer.concat(await request.toArray()).toString()
    const body = JSON.parse(text) as { readonly module?: string }
    asked.push({ method: request.method, body })
    const reason = judge(body)
    response.writeHead(reason === undefined ? 200 : 403).end(reason)
  }
  const server = createServer((request, response) => void answer(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async (): Promise<void> => {
    if (!server.listening) return
    server.close()
    server.closeAllConnections()
    await once(server, 'close')
  }
  const validator: Validator = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/validate`,
    asked,
    [Symbol.asyncDispose]: close,
  }
  started.push(validator)
  return validator
}

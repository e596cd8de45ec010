import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { askNode } from '../../src/control-socket/client.ts'
import { ControlServer } from '../../src/control-socket/server.ts'
import { socketFile } from '../../src/control-socket/socket-path.ts'
import { CommandError, NodeNotRunningError } from '../../src/errors.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-control-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

const soon = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(60_000) })

describe('a request', () => {
  test('is answered with what the node returns', async () => {
    await using _server = await ControlServer.listen(dir, async (request) => ({ got: request }))
    const request = { command: 'invite', site: 'oslo', expiresMs: 5 } as const
    expect(await askNode(dir, request, soon())).toEqual({ got: request })
  })

  test('that fails ends the client with the node’s message and exit code', async () => {
    await using _server = await ControlServer.listen(dir, async () => {
      throw new CommandError('not a member', { exitCode: 24 })
    })
    const error = await askNode(dir, { command: 'status' }, soon()).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(CommandError)
    expect(error).toMatchObject({ message: 'not a member', exitCode: 24 })
  })

  test('to a node that hangs ends with the client’s deadline', async () => {
    await using _server = await ControlServer.listen(dir, () => new Promise(() => undefined))
    const asked = askNode(dir, { command: 'status' }, { signal: AbortSignal.timeout(50) })
    await expect(asked).rejects.toMatchObject({ exitCode: 24 })
  })

  test('of a megabyte of answer arrives whole', async () => {
    const big = 'x'.repeat(1024 * 1024)
    await using _server = await ControlServer.listen(dir, async () => big)
    expect(await askNode(dir, { command: 'status' }, soon())).toBe(big)
  })

  test.for([
    ['no JSON', 'hello\n'],
    ['an unknown command', '{"v":1,"command":"explode"}\n'],
    ['another version', '{"v":2,"command":"status"}\n'],
    ['more fields than we know', '{"v":1,"command":"status","force":true}\n'],
    ['a line without end', 'x'.repeat(17 << 20)],
  ])('that is %s is refused with a text', async ([, line]) => {
    const asked: unknown[] = []
    await using _server = await ControlServer.listen(dir, async (request) => asked.push(request))
    const socket = connect(socketFile(dir))
    socket.write(line!)
    const answer = JSON.parse(await text(socket)) as { ok: boolean; exitCode: number }
    expect(answer).toMatchObject({ ok: false, exitCode: 2 })
    expect(asked).toEqual([])
  })

  test('that wants to know how it goes on is told, and one that does not is not', async () => {
    await using _server = await ControlServer.listen(dir, async (_request, { onProgress }) => {
      onProgress({ done: 1 })
      return { all: 'done' }
    })
    const told: unknown[] = []
    const onProgress = (progress: unknown): unknown => told.push(progress)
    const options = { ...soon(), onProgress }
    expect(await askNode(dir, { command: 'status' }, options)).toEqual({ all: 'done' })
    expect(told).toEqual([{ done: 1 }])
    expect(await askNode(dir, { command: 'status' }, soon())).toEqual({ all: 'done' })
    expect(told).toHaveLength(1)
  })

  test('that never comes does not keep the node from closing', async () => {
    const server = await ControlServer.listen(dir, async () => 'x')
    const socket = connect(socketFile(dir))
    await once(socket, 'connect')
    await server[Symbol.asyncDispose]()
    expect(await text(socket)).toBe('')
  })
})

describe('the socket', () => {
  test('can be opened by its owner alone', async () => {
    await using _server = await ControlServer.listen(dir, async () => 'x')
    expect((await stat(socketFile(dir))).mode & 0o777).toBe(0o600)
    expect((await stat(join(dir, 'run'))).mode & 0o777).toBe(0o700)
  })

  test('is gone after closing, and a client says that no node runs', async () => {
    const server = await ControlServer.listen(dir, async () => 'x')
    await server[Symbol.asyncDispose]()
    await expect(stat(socketFile(dir))).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(askNode(dir, { command: 'status' }, soon())).rejects.toThrow(NodeNotRunningError)
  })

  test('that a killed node left is no node, and the next one replaces it', async () => {
    const script = `
      import { ControlServer } from ${JSON.stringify(import.meta.resolve('../../src/control-socket/server.ts'))}
      await ControlServer.listen(${JSON.stringify(dir)}, async () => 'first')
      process.stdout.write('listening')`
    const child = spawn(process.execPath, ['--input-type=module', '-e', script])
    await once(child.stdout, 'data')
    expect(await askNode(dir, { command: 'status' }, soon())).toBe('first')
    child.kill('SIGKILL')
    await once(child, 'close')
    await expect(stat(socketFile(dir))).resolves.toBeDefined()
    await expect(askNode(dir, { command: 'status' }, soon())).rejects.toThrow(NodeNotRunningError)
    await using _server = await ControlServer.listen(dir, async () => 'second')
    expect(await askNode(dir, { command: 'status' }, soon())).toBe('second')
  })

  test('works below a very long path through a short link, which leaves with it', async () => {
    const long = join(dir, 'x'.repeat(120))
    await mkdir(long, { mode: 0o700 })
    const server = await ControlServer.listen(long, async () => 'deep')
    const link = (await readFile(join(long, 'run', 'short-path'), 'utf8')).trim()
    expect(link.length).toBeLessThan(90)
    expect(await askNode(long, { command: 'status' }, soon())).toBe('deep')
    await server[Symbol.asyncDispose]()
    await expect(stat(link)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(askNode(long, { command: 'status' }, soon())).rejects.toThrow(NodeNotRunningError)
  })

  test('in a file’s place is no node', async () => {
    await mkdir(join(dir, 'run'))
    await writeFile(socketFile(dir), 'x')
    await chmod(socketFile(dir), 0o600)
    await expect(askNode(dir, { command: 'status' }, soon())).rejects.toThrow(NodeNotRunningError)
  })
})

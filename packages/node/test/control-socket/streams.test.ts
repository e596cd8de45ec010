import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { exchangeWithNode } from '../../src/control-socket/client.ts'
import { ControlServer, type ControlStream } from '../../src/control-socket/server.ts'
import { socketFile } from '../../src/control-socket/socket-path.ts'
import { CommandError } from '../../src/errors.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'modmesh-streams-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

const request = { command: 'import', signers: [], anyOrder: false, plan: false } as const
const soon = (): AbortSignal => AbortSignal.timeout(60_000)

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function receiveAll(stream: ControlStream): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of stream.receive()) parts.push(Uint8Array.from(part))
  return Buffer.concat(parts)
}

test.for([1_000, 262_144, 3_000_000])(
  'files go both ways beside a request, in pieces of %s bytes',
  async (size) => {
    const there = randomBytes(size > 1_000 ? 5_000_000 : 50_000)
    const back = randomBytes(5_000_000)
    let seen: Buffer | undefined
    await using _server = await ControlServer.listen(
      dir,
      async (_request, { stream, onProgress }) => {
        seen = await receiveAll(stream)
        onProgress({ done: 1, total: 2 })
        for await (const piece of pieces(back, size)) await stream.send(piece)
        return { done: true }
      },
    )
    const parts: Uint8Array[] = []
    const told: unknown[] = []
    const result = await exchangeWithNode(dir, request, {
      send: pieces(there, size),
      receive: async (bytes) => void parts.push(Uint8Array.from(bytes)),
      onProgress: (progress) => void told.push(progress),
      signal: soon(),
    })
    expect(result).toEqual({ done: true })
    expect(seen?.equals(there)).toBe(true)
    expect(Buffer.concat(parts).equals(back)).toBe(true)
    expect(told).toEqual([{ done: 1, total: 2 }])
  },
)

test('a node that refuses in the middle of a file is heard', async () => {
  await using _server = await ControlServer.listen(dir, async (_request, { stream }) => {
    for await (const part of stream.receive()) {
      if (part.length > 0) throw new CommandError('not this one', { exitCode: 23 })
    }
  })
  const asked = exchangeWithNode(dir, request, {
    send: pieces(Buffer.alloc(50_000_000), 262_144),
    receive: async () => {},
    signal: soon(),
  })
  await expect(asked).rejects.toMatchObject({ message: 'not this one', exitCode: 23 })
})

test('a client that goes away in the middle of a file is no end of it', async () => {
  const ended = Promise.withResolvers<unknown>()
  await using _server = await ControlServer.listen(dir, async (_request, { stream }) => {
    await receiveAll(stream).then(ended.resolve, ended.reject)
  })
  const socket = connect(socketFile(dir))
  socket.write(`${JSON.stringify({ v: 1, ...request })}\n`)
  socket.write(Buffer.concat([Buffer.from([0, 0, 0, 100]), Buffer.alloc(60)]), () =>
    socket.destroy(),
  )
  await expect(ended.promise).rejects.toMatchObject({ message: 'the other side went away' })
})

test('a file that cannot be read ends the command with its error', async () => {
  await using _server = await ControlServer.listen(dir, async (_request, { stream }) => {
    await receiveAll(stream)
  })
  const asked = exchangeWithNode(dir, request, {
    send: (async function* () {
      yield Buffer.alloc(10)
      throw new CommandError('cannot read it', { exitCode: 1 })
    })(),
    receive: async () => {},
    signal: soon(),
  })
  await expect(asked).rejects.toMatchObject({ message: 'cannot read it' })
})

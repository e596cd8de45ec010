import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startStopwatch } from '../../../test/support/stopwatch.ts'
import { newTestIdentity } from '../testing/index.ts'
import { failOnUnhandled } from './support/no-unhandled.ts'
import { patiently } from './support/patience.ts'
import { startNode } from './support/test-node.ts'

failOnUnhandled()

/** A host that takes connections and never says a word, as one that is overloaded. */
let server: Server
let open: Set<Socket>
let port: number

beforeEach(async () => {
  open = new Set()
  server = createServer((socket) => {
    open.add(socket)
    socket.resume()
    socket.on('error', () => undefined) // a reset is one way to hang up
    socket.on('close', () => open.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  port = typeof address === 'object' ? (address?.port ?? 0) : 0
})

afterEach(() => {
  for (const socket of open) socket.destroy()
  server.close()
})

test('a dial that hangs ends as soon as its peer is connected the other way, and is no failure', async () => {
  const identity = await newTestIdentity()
  const hung = `/ip4/127.0.0.1/tcp/${port}/p2p/${identity.peerId}`
  await using a = await startNode({ peers: [hung] })
  const ticket = await a.node.invite()
  await patiently(() => open.size).toBe(1)
  const took = startStopwatch()
  await using b = await startNode({ identity, ticket })
  await patiently(() => a.node.targets().find(({ target }) => target === hung)).toMatchObject({
    connected: true,
    failures: 0,
  })
  await patiently(() => open.size).toBe(0)
  // By itself it would have hung for the 5 s that an address has.
  expect(took()).toBeLessThan(4_000)
  await patiently(() => b.node.peers()).toMatchObject([{ peer: a.node.peerId, isConnected: true }])
  const failures = a.events.filter(({ kind }) => kind === 'dial-failed' || kind === 'refused')
  expect(failures).toEqual([])
})

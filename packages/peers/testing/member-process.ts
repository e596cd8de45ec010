import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { sendChunks } from '../src/network/stream-io.ts'
import { endlessProtocol } from './endless.ts'
import { startTestNetwork } from './test-network.ts'

// The ticket comes by standard input: it is a secret, and argv is public.
const lines = createInterface({ input: process.stdin })
for await (const ticket of lines) {
  const node = await startTestNetwork({ ticket, name: 'process' })
  await node.network.libp2p.handle(endlessProtocol, (stream) => {
    const { signal } = new AbortController()
    sendChunks(stream, endless(), { signal }).catch(() => {
      // The reader has enough.
    })
  })
  console.log(JSON.stringify({ peerId: node.network.peerId, address: node.address }))
}

function* endless(): Generator<Uint8Array> {
  const chunk = new Uint8Array(randomBytes(256 * 1024))
  for (;;) yield chunk
}

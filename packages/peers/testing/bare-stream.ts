import { createHash } from 'node:crypto'
import { closeSync, createReadStream, openSync, writeSync } from 'node:fs'
import type { Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const protocol = '/modmesh-test/bare'

/** Serves a file over a libp2p stream and nothing else: what a transfer of ours is measured against. Returns its address. */
export async function giveBare(file: string): Promise<string> {
  const libp2p = await startBare('/ip4/127.0.0.1/tcp/0')
  await libp2p.handle(protocol, (stream) => void send(stream, file))
  return libp2p.getMultiaddrs()[0]?.toString() ?? ''
}

/** Connects to what `giveBare` serves; the function returned fetches it into a file, hashes it and returns the bytes. */
export async function openBare(address: string): Promise<(file: string) => Promise<number>> {
  const libp2p = await startBare()
  const connection = await libp2p.dial(multiaddr(address))
  return async (file) => await receive(await connection.newStream(protocol), file)
}

async function startBare(...listen: string[]): Promise<Libp2p> {
  return await createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [tls()],
    streamMuxers: [yamux()],
    // Its pings wait behind the body, and what is late cuts the connection.
    connectionMonitor: { enabled: false },
  })
}

/** Writes at once: what waits for a slow write is never held back by the stream, which then cuts itself. */
async function receive(stream: Stream, file: string): Promise<number> {
  const hash = createHash('sha256')
  const out = openSync(file, 'w')
  let bytes = 0
  stream.addEventListener('message', ({ data }) => {
    for (const chunk of data instanceof Uint8Array ? [data] : data) {
      hash.update(chunk)
      writeSync(out, chunk)
      bytes += chunk.byteLength
    }
  })
  await event(stream, 'end')
  await stream.close()
  closeSync(out)
  hash.digest()
  return bytes
}

async function send(stream: Stream, file: string): Promise<void> {
  for await (const chunk of createReadStream(file, { highWaterMark: 256 << 10 })) {
    if (!stream.send(chunk as Uint8Array)) await event(stream, 'drain')
  }
  await stream.close()
}

function event(stream: Stream, name: 'end' | 'drain'): Promise<void> {
  return new Promise((resolve) => {
    stream.addEventListener(name, () => resolve(), { once: true })
  })
}

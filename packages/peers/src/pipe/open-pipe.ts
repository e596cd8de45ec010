import type { Connection, Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { bodyFraming } from '../body/message.ts'
import { ProtocolError } from '../errors.ts'
import {
  decodePipeOffer,
  decodePipeSecret,
  encodePipeOffer,
  encodePipeSecret,
  pipeProtocol,
} from './message.ts'
import { Pipe } from './pipe.ts'
import {
  dialPipe,
  newPipeSecret,
  type PipeAddress,
  type PipeDoor,
  type PipeSecret,
  type PipeSocket,
} from './pipe-tls.ts'

interface Opening {
  readonly signal: AbortSignal
}

/**
 * Opens a pipe beside a connection, to ask over it. Whoever dialled the connection dials the pipe, at the
 * same address: that way it was let through once. The stream that it was agreed on stays open, and either
 * one's end ends the other. Throws libp2p's, the socket's and ProtocolErrors, the signal's reason.
 */
export async function openPipe(
  { connection, door }: { readonly connection: Connection; readonly door: PipeDoor },
  { signal }: Opening,
): Promise<Pipe> {
  const stream = await connection.newStream(pipeProtocol, { signal })
  return await tied(stream, async () => {
    const frames = lpStream(stream, bodyFraming)
    if (connection.direction === 'outbound') {
      await frames.write(encodePipeOffer({ kind: 'dial' }), { signal })
      const secret = decodePipeSecret((await frames.read({ signal })).subarray())
      return await dialPipe(addressOf(connection), secret, { signal })
    }
    const secret = newPipeSecret()
    const tell = () => frames.write(encodePipeOffer({ kind: 'come', ...secret }), { signal })
    return await expected(stream, { door, secret, tell }, { signal })
  })
}

/** Does the other end's part, to answer over the pipe. Throws as openPipe does. */
export async function acceptPipe(
  stream: Stream,
  { connection, door }: { readonly connection: Connection; readonly door: PipeDoor },
  { signal }: Opening,
): Promise<Pipe> {
  return await tied(stream, async () => {
    const frames = lpStream(stream, bodyFraming)
    const offer = decodePipeOffer((await frames.read({ signal })).subarray())
    const isOurs = connection.direction === 'outbound'
    if (isOurs !== (offer.kind === 'come')) throw new ProtocolError('the wrong end offers a pipe')
    if (offer.kind === 'come') return await dialPipe(addressOf(connection), offer, { signal })
    const secret = newPipeSecret()
    const tell = () => frames.write(encodePipeSecret(secret), { signal })
    return await expected(stream, { door, secret, tell }, { signal })
  })
}

/** Tells the secret, and waits for the pipe that comes with it; without the stream none is waited for. */
async function expected(
  stream: Stream,
  {
    door,
    secret,
    tell,
  }: {
    readonly door: PipeDoor
    readonly secret: PipeSecret
    readonly tell: () => Promise<void>
  },
  { signal }: Opening,
): Promise<PipeSocket> {
  const over = new AbortController()
  stream.addEventListener('close', () => over.abort(new Error('no pipe came')), { once: true })
  const coming = door.expect(secret, { signal: AbortSignal.any([signal, over.signal]) })
  try {
    const [socket] = await Promise.all([coming, tell()])
    return socket
  } catch (error) {
    over.abort(error)
    // It may have come before the secret was known to be told.
    coming.then(({ socket }) => socket.destroy()).catch(() => {}) // thrown below
    throw error
  }
}

/** Makes a pipe that ends with the stream, and the stream with it. */
async function tied(stream: Stream, open: () => Promise<PipeSocket>): Promise<Pipe> {
  try {
    const pipe = new Pipe(await open(), () => stream.close())
    stream.addEventListener('close', () => pipe.destroy(), { once: true })
    stream.addEventListener('remoteCloseWrite', () => pipe.endedByPeer(), { once: true })
    pipe.onOver(() => stream.abort(new Error('the pipe is over')))
    if (stream.status !== 'open') pipe.destroy()
    return pipe
  } catch (error) {
    stream.abort(error instanceof Error ? error : new Error('no pipe', { cause: error }))
    throw error
  }
}

function addressOf({ remoteAddr }: Connection): PipeAddress {
  const [ip, tcp] = remoteAddr.getComponents()
  if (ip?.value === undefined || tcp?.name !== 'tcp') throw new Error('no address of a pipe')
  return { host: ip.value, port: Number(tcp.value) }
}

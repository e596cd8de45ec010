import { Server, type Socket } from 'node:net'
import type { Listener, Transport } from '@libp2p/interface'
import { type TCPComponents, type TCPDialEvents, tcp } from '@libp2p/tcp'
import { pipeLimits, pipeTimes } from './limits.ts'

/** Takes an inbound connection whose first byte, still unread, begins a TLS handshake. */
export type TakePipe = (socket: Socket) => void

type TcpTransport = (components: TCPComponents) => Transport<TCPDialEvents>

/** The first byte of a TLS handshake. libp2p begins with the length of a protocol name, 19. */
const tlsHandshake = 0x16

/**
 * Builds libp2p's TCP transport such that pipes come in on the same port: a connection that begins with
 * a TLS handshake is given to `take` and never seen by libp2p, all others are libp2p's.
 */
export function tcpWithPipes(take: TakePipe): TcpTransport {
  const make = tcp()
  return (components) => {
    const transport = make(components)
    const createListener = transport.createListener.bind(transport)
    transport.createListener = (options) => shared(createListener(options), take)
    return transport
  }
}

// libp2p's listener has no hook before its own handshake, so its `connection` listener is put behind ours.
// A version of it that keeps its server elsewhere would have no pipes and work by streams.
function shared(listener: Listener, take: TakePipe): Listener {
  const server: unknown = Reflect.get(listener, 'server')
  if (!(server instanceof Server)) return listener
  const others = server.listeners('connection')
  server.removeAllListeners('connection')
  const silent = new Set<Socket>()
  const pipes = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    if (silent.size >= pipeLimits.silent) return giveOn(socket, { server, others })
    silent.add(socket)
    sniff(socket, (first) => {
      silent.delete(socket)
      if (first === undefined) return
      if (first !== tlsHandshake) return giveOn(socket, { server, others })
      pipes.add(socket)
      socket.once('close', () => pipes.delete(socket))
      take(socket)
    })
  })
  const close = listener.close.bind(listener)
  listener.close = async () => {
    // The server is closed when its last connection is, and libp2p ends only those that it knows.
    for (const socket of [...silent, ...pipes]) socket.destroy()
    await close()
  }
  return listener
}

function giveOn(
  socket: Socket,
  // biome-ignore lint/complexity/noBannedTypes: what `listeners` gives.
  { server, others }: { readonly server: Server; readonly others: readonly Function[] },
): void {
  // libp2p throws for a connection that comes while it stops, and that would end the process.
  if (!server.listening) return void socket.destroy()
  for (const other of others) Reflect.apply(other, server, [socket])
  // Listeners of `data` do not wake a socket that was paused.
  socket.resume()
}

/** Calls back once with the first byte, which stays unread, or with undefined when there will be none. */
function sniff(socket: Socket, then: (first: number | undefined) => void): void {
  const late = setTimeout(() => socket.destroy(), pipeTimes.firstByteMs)
  const settle = (first?: number): void => {
    clearTimeout(late)
    socket.removeListener('data', onData)
    socket.removeListener('close', onClose)
    socket.removeListener('error', ignore)
    then(first)
  }
  const onData = (bytes: Buffer): void => {
    socket.pause()
    socket.unshift(bytes)
    settle(bytes[0])
  }
  const onClose = (): void => settle()
  socket.on('data', onData)
  socket.on('close', onClose)
  // A stranger that resets its connection: `close` follows.
  socket.on('error', ignore)
}

function ignore(): void {}

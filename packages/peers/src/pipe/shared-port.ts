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
  let silent = 0
  server.on('connection', (socket: Socket) => {
    const giveOn = (): void => {
      for (const other of others) Reflect.apply(other, server, [socket])
    }
    if (silent >= pipeLimits.silent) return giveOn()
    silent += 1
    sniff(socket, (first) => {
      silent -= 1
      if (first === tlsHandshake) take(socket)
      else if (first !== undefined) {
        giveOn()
        // Listeners of `data` do not wake a socket that was paused.
        socket.resume()
      }
    })
  })
  return listener
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

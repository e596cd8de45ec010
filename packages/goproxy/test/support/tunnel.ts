import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { onTestFinished } from 'vitest'

/** What an HTTP proxy does after CONNECT, wherever that was to lead: joins the client with a port of this machine. */
export function tunnel(client: Duplex, port: number): void {
  const there = connect(port, '127.0.0.1', () => {
    client.write('HTTP/1.1 200 OK\r\n\r\n')
    there.pipe(client).pipe(there)
  })
  for (const socket of [there, client]) socket.on('error', () => socket.destroy())
  onTestFinished(() => void there.destroy())
}

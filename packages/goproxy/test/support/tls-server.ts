import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingHttpHeaders, RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'

/** A file of the test authority: see testdata/tls. */
export function tlsFile(name: string): string {
  return fileURLToPath(new URL(`../../testdata/tls/${name}`, import.meta.url))
}

/** One request as it came. */
interface SeenRequest {
  readonly url: string
  readonly headers: IncomingHttpHeaders
}

/** A real https server under the test authority, for `localhost`, 127.0.0.1 and `*.modmesh.test`. */
export interface TlsServer extends AsyncDisposable {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string
  readonly port: number
  readonly seen: SeenRequest[]
}

export async function startTls(listener: RequestListener): Promise<TlsServer> {
  const [key, cert] = await Promise.all([
    readFile(tlsFile('server.key')),
    readFile(tlsFile('server.pem')),
  ])
  const seen: SeenRequest[] = []
  const server = createServer({ key, cert }, (request, response) => {
    if (request.method === 'GET') seen.push({ url: request.url ?? '', headers: request.headers })
    listener(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.close()
      server.closeAllConnections()
    },
  }
}

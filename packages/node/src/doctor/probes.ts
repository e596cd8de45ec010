import { createSocket } from 'node:dgram'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { connect } from 'node:net'
import { errorCode, errorText } from '../errors.ts'

/** For an answer from anywhere; who types `doctor` waits for it. Milliseconds. */
const probeMs = 4_000
/** Where multicast DNS is spoken (RFC 6762 §3). */
const mdnsGroup = '224.0.0.251'
const mdnsPort = 5353

/** How far the clock of a web server is ahead of ours, ms, within a second; undefined when it does not say. */
export async function probeClock(origin: string): Promise<number | undefined> {
  const date = await headDate(origin)
  const theirs = date === undefined ? Number.NaN : Date.parse(date)
  // Theirs is cut to the second.
  return Number.isNaN(theirs) ? undefined : theirs + 500 - Date.now()
}

function headDate(origin: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const send = origin.startsWith('https:') ? requestHttps : requestHttp
    const signal = AbortSignal.timeout(probeMs)
    const asked = send(origin, { method: 'HEAD', agent: false, signal }, (answer) => {
      answer.resume()
      resolve(answer.headers.date)
    })
    // Whether it answers at all is found out another way, through proxies and with certificates.
    asked.on('error', () => resolve(undefined))
    asked.end()
  })
}

/** Why multicast cannot be sent from this host; undefined when it can. */
export function probeMulticast(): Promise<string | undefined> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  return new Promise<string | undefined>((resolve) => {
    socket.once('error', (error) => resolve(errorText(error)))
    socket.bind(0, () => {
      try {
        socket.addMembership(mdnsGroup)
      } catch (error) {
        resolve(`${mdnsGroup} cannot be joined (${errorCode(error) ?? errorText(error)})`)
        return
      }
      // An empty question: 12 zero bytes are a valid message that nobody answers.
      socket.send(Buffer.alloc(12), mdnsPort, mdnsGroup, (error) => {
        resolve(
          error === null ? undefined : `nothing can be sent to ${mdnsGroup} (${error.message})`,
        )
      })
    })
  }).finally(() => socket.close())
}

/** Which of our own mesh addresses do not let us in. */
export async function closedPorts(
  addresses: readonly string[],
): Promise<readonly { readonly address: string; readonly reason: string }[]> {
  const tried = await Promise.all(
    addresses.map(async (address) => ({ address, reason: await connectFault(address) })),
  )
  return tried.flatMap(({ address, reason }) => (reason === undefined ? [] : [{ address, reason }]))
}

function connectFault(address: string): Promise<string | undefined> {
  const [, family, host, transport, port] = address.split('/')
  const isTcp = transport === 'tcp' && (family === 'ip4' || family === 'ip6')
  if (!isTcp || host === undefined) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    const socket = connect({ host, port: Number(port), timeout: probeMs })
    const end = (fault: string | undefined): void => {
      socket.destroy()
      resolve(fault)
    }
    socket.once('connect', () => end(undefined))
    socket.once('timeout', () => end('no answer'))
    socket.once('error', (error) => end(errorCode(error) ?? errorText(error)))
  })
}

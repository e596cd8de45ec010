import { noise } from '@chainsafe/libp2p-noise'
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import type { ConnectionEncrypter, Libp2p, MessageStream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import type { TestIdentity } from './test-identity.ts'
import { newTestIdentity } from './test-identity.ts'

/** What a stranger says on the encrypted connection, where a member would show its chain. */
export type StrangerSpeech = (
  connection: MessageStream,
  side: 'dialler' | 'listener',
) => Promise<void> | void

/** A libp2p node of no mesh. */
export interface Stranger extends AsyncDisposable {
  readonly libp2p: Libp2p
  readonly address: string
}

/**
 * Starts a node without our gate. With a speech it knows the gate's protocol names and speaks
 * after the handshake; without one it is a libp2p node as the world has them.
 */
export async function startStranger(
  init: { readonly speech?: StrangerSpeech; readonly identity?: TestIdentity } = {},
): Promise<Stranger> {
  const { speech, identity = await newTestIdentity() } = init
  const libp2p = await createLibp2p({
    privateKey: privateKeyFromProtobuf(identity.privateKey),
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters:
      speech === undefined
        ? [tls(), noise()]
        : [spoken(tls(), 'tls', speech), spoken(noise(), 'noise', speech)],
    streamMuxers: [yamux()],
  })
  return {
    libp2p,
    address: libp2p.getMultiaddrs()[0]?.toString() ?? '',
    [Symbol.asyncDispose]: async () => libp2p.stop(),
  }
}

function spoken<C>(
  factory: (components: C) => ConnectionEncrypter,
  name: string,
  speech: StrangerSpeech,
): (components: C) => ConnectionEncrypter {
  return (components) => {
    const inner = factory(components)
    return {
      protocol: `/modmesh/gate/1/${name}`,
      secureInbound: async (stream, options) => {
        const secured = await inner.secureInbound(stream, options)
        await speech(secured.connection, 'listener')
        return secured
      },
      secureOutbound: async (stream, options) => {
        const secured = await inner.secureOutbound(stream, options)
        await speech(secured.connection, 'dialler')
        return secured
      },
    }
  }
}

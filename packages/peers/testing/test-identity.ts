import { generateKeyPair, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'

/** A new identity: what a node keeps in `identity.key`. */
export interface TestIdentity {
  /** Protobuf of an Ed25519 key. */
  readonly privateKey: Uint8Array
  readonly peerId: string
}

/** Makes a new identity. */
export async function newTestIdentity(): Promise<TestIdentity> {
  const key = await generateKeyPair('Ed25519')
  return { privateKey: privateKeyToProtobuf(key), peerId: peerIdFromPrivateKey(key).toString() }
}

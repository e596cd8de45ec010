import type { Stream } from '@libp2p/interface'
import { lpStream } from '@libp2p/utils'
import { afterAll, beforeAll, beforeEach, expect } from 'vitest'
import { bodyProtocol, decodeBodyRequest, type ZipRequest } from '../../src/body/message.ts'
import type { PeerStatus } from '../../src/mesh-init.ts'
import { type RogueMember, rogueMember } from '../../testing/index.ts'
import { startNode, type TestNode } from './test-node.ts'

/** A node that asks for one zip, and a member that holds it. */
export interface ZipAsker {
  readonly asker: TestNode
  readonly honest: TestNode
  /** What the asker shows of a peer. */
  readonly statusOf: (peer: string) => PeerStatus | undefined
  /** Starts a member that answers each question for the zip as a test says. */
  readonly member: (
    answer: (stream: Stream, asked: ZipRequest) => Promise<void>,
  ) => Promise<RogueMember>
}

/** Sets up both for the tests around. */
export function zipAsker(name: string, body: Uint8Array): ZipAsker {
  let asker: TestNode
  let honest: TestNode
  const statusOf = (peer: string) => asker.node.peers().find((each) => each.peer === peer)
  beforeAll(async () => {
    asker = await startNode()
    honest = await startNode({ ticket: await asker.node.invite() })
    honest.shelf.put(name, body)
  })
  beforeEach(async () => {
    const isConnected = () => statusOf(honest.node.peerId)?.isConnected
    await expect.poll(isConnected, { interval: 5 }).toBe(true)
  })
  afterAll(async () => {
    await honest[Symbol.asyncDispose]()
    await asker[Symbol.asyncDispose]()
  })
  return {
    get asker() {
      return asker
    },
    get honest() {
      return honest
    },
    statusOf,
    member: async (answer) => {
      const rogue = await rogueMember(await asker.node.invite())
      await rogue.connect(asker.address)
      await rogue.handle(bodyProtocol, async (stream) => {
        const frames = lpStream(stream)
        const request = decodeBodyRequest((await frames.read()).subarray())
        frames.unwrap()
        if (request?.kind !== 'zip') return stream.abort(new Error('another question'))
        await answer(stream, request).catch(() => {
          // The asker went away.
        })
      })
      return rogue
    },
  }
}

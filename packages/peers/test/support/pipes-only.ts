import type { Libp2p } from '@libp2p/interface'
import type { Clock } from '@modmesh/fill'
import { BodyClient } from '../../src/body/body-client.ts'
import { machineClock } from '../../src/machine-clock.ts'
import type { Network } from '../../src/network/network.ts'
import { PipePool } from '../../src/pipe/pipe-pool.ts'
import { patientTimes } from './test-node.ts'

/** On a busy machine a pipe opens later than a body waits for one: here it waits until there is one, or none can be. */
const patientClock: Clock = {
  ...machineClock,
  sleep: (_, { signal }) =>
    new Promise((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    }),
}

/** Asks over pipes and nothing else; the pool is for whoever calls to stop. */
export function pipesOnly({ libp2p, door }: Pick<Network, 'libp2p' | 'door'>): {
  readonly client: BodyClient
  readonly pipes: PipePool
} {
  const pipes = new PipePool({ libp2p, door, clock: patientClock })
  const streamless = new Proxy(libp2p, {
    get(target, key) {
      if (key === 'dialProtocol') throw new Error('a stream')
      return Reflect.get(target, key)
    },
  }) as Libp2p
  const components = { libp2p: streamless, pipes, clock: machineClock }
  return { client: new BodyClient(components, { times: patientTimes }), pipes }
}

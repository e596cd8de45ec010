import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { LoopError } from './errors.ts'
import { maxViaNodes } from './limits.ts'

const sign = '1.1 modmesh-'

/**
 * The nodes that a request came through (Via, RFC 9110 section 7.6.3). It stays beside the work that answers the
 * request, so that the questions to upstreams which come of it name them too: a ring of nodes is then seen by the
 * first that meets itself. The name is made at each start and says nothing of the host.
 */
export class ViaChain {
  readonly #self = sign + randomBytes(9).toString('hex')
  readonly #storage = new AsyncLocalStorage<readonly string[]>()

  /** Runs the work that answers a request with this Via header. Throws LoopError for a request of our own. */
  receive<T>(header: string | undefined, work: () => Promise<T>): Promise<T> {
    if (header === undefined) return work()
    const nodes = header
      .split(',')
      .map((entry) => entry.trim())
      .filter((entry) => entry.startsWith(sign))
    if (nodes.includes(this.#self)) {
      throw new LoopError('this node was asked by itself: its upstreams lead back to it')
    }
    if (nodes.length >= maxViaNodes) {
      throw new LoopError('this request came through too many nodes: their upstreams form a ring')
    }
    return this.#storage.run(nodes, work)
  }

  /** The Via header of a request that comes of the running work. */
  header(): string {
    return [...(this.#storage.getStore() ?? []), this.#self].join(', ')
  }
}

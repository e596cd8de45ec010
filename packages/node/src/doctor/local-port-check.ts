import { errorText } from '../errors.ts'
import { type Finding, fail, ok, skip } from './finding.ts'
import type { NodeFacts } from './node-facts.ts'

/** On loopback; a busy node still answers. Milliseconds. */
const probeMs = 5_000

/** Asks the node for something as `go` would, from where `go` is. */
export async function checkLocalPort({ status }: NodeFacts): Promise<Finding> {
  const id = 'local-port'
  const { url } = status.proxy
  if (url === null) return skip(id, 'not open yet')
  if (!url.startsWith('http')) return skip(id, `${url} is not asked here`)
  try {
    const answer = await fetch(`${url}/-/readyz`, { signal: AbortSignal.timeout(probeMs) })
    const body = (await answer.text()).trim()
    if (answer.ok) return ok(id, `${url} answers`)
    return fail(id, `${url} says ${answer.status}: ${body.slice(0, 200)}`, 'see: modmesh status')
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
    const fix = 'are you in another network namespace or container? see docs/howto/containers.md'
    return fail(id, `${url} does not answer here: ${errorText(cause)}`, fix)
  }
}

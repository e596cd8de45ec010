import { UpstreamUnavailableError } from '@modmesh/fill'
import { expect, test } from 'vitest'
import { withDeadline } from '../../src/upstream/deadline.ts'

const { signal } = new AbortController()
const untilAborted = (aborted: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    aborted.addEventListener('abort', () => reject(aborted.reason))
  })

test('work that takes too long is unavailable, and says that it was time', async () => {
  const late = withDeadline(10, signal, untilAborted)
  await expect(late).rejects.toMatchObject({ timedOut: true })
  await expect(late).rejects.toBeInstanceOf(UpstreamUnavailableError)
})

test('another error stays what it is, also when time ran out meanwhile', async () => {
  const full = new Error('disk full')
  const failing = withDeadline(10, signal, async (aborted) => {
    await untilAborted(aborted).catch(() => {
      throw full
    })
  })
  await expect(failing).rejects.toBe(full)
})

test('the reason of a caller who leaves is passed on', async () => {
  const caller = new AbortController()
  const reason = new Error('gone')
  const left = withDeadline(10_000, caller.signal, untilAborted)
  caller.abort(reason)
  await expect(left).rejects.toBe(reason)
})

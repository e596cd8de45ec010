import { expect, test } from 'vitest'
import { InFlight } from '../../src/bundle/in-flight.ts'

test('what was prepared when another task failed is done, too: a staged zip is let go of by its task', async () => {
  const broken = new Error('broken')
  const tasks = new InFlight(1)
  let isLetGo = false
  const failing = tasks.add(async () => {
    await Promise.resolve()
    throw broken
  })
  await failing
  const adding = tasks.add(async () => {
    isLetGo = true
  })
  await expect(adding).rejects.toBe(broken)
  await expect(tasks.settled()).rejects.toBe(broken)
  expect(isLetGo).toBe(true)
})

import { expect, test } from 'vitest'
import { Lifecycle } from '../src/lifecycle.ts'

function setUp() {
  const errors: object[] = []
  const log = {
    debug: () => undefined,
    error: (fields: object) => {
      errors.push(fields)
    },
  }
  return { errors, lifecycle: new Lifecycle(log) }
}

test('parts are stopped in reverse order, each once', async () => {
  const { lifecycle } = setUp()
  const order: string[] = []
  for (const name of ['store', 'mesh', 'port']) {
    lifecycle.defer(name, async () => {
      order.push(name)
    })
  }
  await Promise.all([lifecycle.stop(), lifecycle.stop()])
  await lifecycle.stop()
  expect(order).toEqual(['port', 'mesh', 'store'])
})

test('a part that cannot be stopped is named and does not keep the others', async () => {
  const { errors, lifecycle } = setUp()
  let isClosed = false
  lifecycle.add('store', {
    [Symbol.asyncDispose]: async () => {
      isClosed = true
    },
  })
  lifecycle.defer('mesh', async () => {
    throw new Error('stuck')
  })
  await lifecycle.stop()
  expect(isClosed).toBe(true)
  expect(errors).toEqual([{ part: 'mesh', error: 'stuck' }])
})

import { expect } from 'vitest'

/** Waits for an expectation as long as a busy machine may need, and no longer than it takes. */
export function patiently<T>(value: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(value, { interval: 10 })
}

import { afterEach, beforeEach, expect } from 'vitest'

/** Fails a test in which a rejection or an exception reached nobody: it would end a node. */
export function failOnUnhandled(): void {
  const seen: unknown[] = []
  const note = (error: unknown) => void seen.push(error)
  beforeEach(() => {
    process.on('unhandledRejection', note)
    process.on('uncaughtException', note)
  })
  afterEach(async () => {
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    process.off('uncaughtException', note)
    expect(seen.splice(0)).toEqual([])
  })
}

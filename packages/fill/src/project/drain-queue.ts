/**
 * Does work for each item, also for those that `push` adds meanwhile, at most `limit` at a time. Throws what the
 * first to fail threw, and begins nothing after that.
 */
export async function drainQueue<T>(
  seed: Iterable<T>,
  limit: number,
  work: (item: T, push: (item: T) => void) => Promise<void>,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const waiting = [...seed]
  let running = 0
  let hasFailed = false
  const next = (): void => {
    while (!hasFailed && running < limit && waiting.length > 0) {
      const item = waiting.pop() as T
      running += 1
      void run(item)
    }
    if (running === 0 && waiting.length === 0) resolve()
  }
  const run = async (item: T): Promise<void> => {
    try {
      await work(item, (added) => {
        waiting.push(added)
        next()
      })
    } catch (error) {
      hasFailed = true
      reject(error)
    }
    running -= 1
    next()
  }
  next()
  await promise
}

const lookMs = 10
/** Timers are late by as much on a machine that does nothing else. */
const jitterMs = 5

/**
 * Starts to measure; what it returns ends that and says how many milliseconds it took, without those for which a busy
 * machine had no processor for this process: a promise is about what we do, not about our neighbours.
 */
export function startStopwatch(): () => number {
  const startedMs = performance.now()
  const startedCpu = process.cpuUsage()
  let [lastMs, lateMs] = [startedMs, 0]
  const look = (): void => {
    const nowMs = performance.now()
    const late = nowMs - lastMs - lookMs
    if (late > jitterMs) lateMs += late
    lastMs = nowMs
  }
  const timer = setInterval(look, lookMs)
  return () => {
    clearInterval(timer)
    look()
    const { user, system } = process.cpuUsage(startedCpu)
    // Late is also who works: that is our own.
    const waitedMs = Math.max(0, lateMs - (user + system) / 1_000)
    return performance.now() - startedMs - waitedMs
  }
}

import type { PrefetchProgress } from './prefetch-report.ts'
import { formatPrefetchProgress } from './prefetch-text.ts'

/** Between lines where they stay, as in the log of a CI run. Milliseconds. */
const plainMs = 10_000

/** Where progress is shown. */
interface Screen {
  readonly isTTY?: boolean
  readonly columns?: number
  write(text: string): unknown
}

/** Shows how far a prefetch is: on a terminal one line that is written anew, elsewhere a line now and then. */
export function showPrefetch(
  screen: Screen,
  { nowMs = () => performance.now() }: { readonly nowMs?: () => number } = {},
): { readonly onProgress: (progress: unknown) => void; readonly end: () => void } {
  let shownMs = nowMs()
  let hasLine = false
  const onProgress = (told: unknown): void => {
    const text = formatPrefetchProgress(told as PrefetchProgress)
    if (screen.isTTY === true) {
      hasLine = true
      screen.write(`\r\u001b[K${text.slice(0, (screen.columns ?? 80) - 1)}`)
    } else if (nowMs() - shownMs >= plainMs) {
      shownMs = nowMs()
      screen.write(`${text}\n`)
    }
  }
  const end = (): void => {
    if (hasLine) screen.write('\r\u001b[K')
  }
  return { onProgress, end }
}

import { formatDuration } from '../duration.ts'
import type { Progress } from '../verify-store.ts'

/** Between lines: quick enough to look alive. Milliseconds. */
const lineMs = 200

/** Shows how far something is on a line of the terminal that is written again and again. */
export interface ShownProgress {
  /** Undefined where nobody looks: stderr is no terminal. */
  readonly onProgress: ((progress: unknown) => void) | undefined
  /** Wipes the line. */
  readonly end: () => void
}

/** Begins to show progress on stderr, if that is a terminal. `verb`: what is done to so many. */
export function showProgress(verb: string): ShownProgress {
  const { stderr } = process
  if (!stderr.isTTY) return { onProgress: undefined, end: () => {} }
  const startedMs = performance.now()
  let shownMs = Number.NEGATIVE_INFINITY
  return {
    onProgress: (told) => {
      const nowMs = performance.now()
      const progress = asProgress(told)
      if (progress === undefined || nowMs - shownMs < lineMs) return
      shownMs = nowMs
      stderr.write(`\r\u001b[K${progressText(verb, progress, nowMs - startedMs)}`)
    },
    end: () => void stderr.write('\r\u001b[K'),
  }
}

/** As people read it: how many of how many, and how long it will take. */
function progressText(verb: string, { done, total }: Progress, tookMs: number): string {
  const share = total === 0 ? 1 : Math.min(done / total, 1)
  const percent = `${Math.floor(share * 100)} %`
  const leftMs = share === 0 ? undefined : (tookMs / share) * (1 - share)
  const left = leftMs === undefined || done === total ? '' : `, ${formatDuration(leftMs)} left`
  return `${verb} ${done} of ${total}, ${percent}${left}`
}

function asProgress(told: unknown): Progress | undefined {
  if (typeof told !== 'object' || told === null || !('done' in told) || !('total' in told)) {
    return undefined
  }
  const { done, total } = told
  return typeof done === 'number' && typeof total === 'number' ? { done, total } : undefined
}

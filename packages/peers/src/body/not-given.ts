import { bodyLimits } from './limits.ts'
import type { BodyHeader } from './message.ts'

/** The peer said no, politely. */
export class NotGivenError extends Error {
  readonly code = 'NOT_GIVEN'
  readonly status: Exclude<BodyHeader['status'], 'ok' | 'part'>
  /** When a busy peer may be asked again, within our own bounds. */
  readonly retryMs: number | undefined
  constructor(header: Exclude<BodyHeader, { status: 'ok' | 'part' }>) {
    super(`peer says ${header.status}`)
    this.name = 'NotGivenError'
    this.status = header.status
    if (header.status !== 'busy') return
    const { busyMinMs, busyMaxMs } = bodyLimits
    this.retryMs = Math.min(busyMaxMs, Math.max(busyMinMs, header.retryMs))
  }
}

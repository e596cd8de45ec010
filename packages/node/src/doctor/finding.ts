/**
 * How a thing stands. `note`: as it should be, and still worth knowing; `skip`: could not be looked at.
 */
export type FindingState = 'ok' | 'note' | 'warn' | 'fail' | 'skip'

/** One thing that `doctor` looked at. */
export interface Finding {
  /** Stays the same from version to version. */
  readonly id: string
  readonly state: FindingState
  /** What was seen. */
  readonly text: string
  /** What to type or do; absent where nothing is to be done. */
  readonly fix?: string
}

export function ok(id: string, text: string): Finding {
  return { id, state: 'ok', text }
}

export function note(id: string, text: string, fix?: string): Finding {
  return { id, state: 'note', text, ...(fix !== undefined && { fix }) }
}

export function warn(id: string, text: string, fix: string): Finding {
  return { id, state: 'warn', text, fix }
}

export function fail(id: string, text: string, fix: string): Finding {
  return { id, state: 'fail', text, fix }
}

export function skip(id: string, text: string): Finding {
  return { id, state: 'skip', text }
}

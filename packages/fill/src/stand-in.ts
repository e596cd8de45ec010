import type { Source } from './fill-event.ts'
import type { Answer, AskOptions } from './module-source.ts'
import type { MutableQuestion } from './mutable-question.ts'
import { notInStore } from './not-found.ts'

/** What upstream said `ageMs` ago. */
export interface Older {
  readonly bytes: Uint8Array
  readonly ageMs: number
}

/** Answers with upstream's older word, and says why. */
export function staleAnswer(
  older: Older,
  why: Extract<Source, { readonly kind: 'stale' }>['why'],
): Answer<Uint8Array> {
  return { value: older.bytes, source: { kind: 'stale', why }, ageMs: older.ageMs }
}

/** While upstream fails: it will be back, so its own word, though old, is worth more than what happens to be held. */
export async function standInWhenDead(
  question: MutableQuestion,
  older: Older | undefined,
  options: AskOptions,
): Promise<Answer<Uint8Array> | undefined> {
  if (older === undefined) return await heldAnswer(question, undefined, options)
  const bytes = await question.mend(older.bytes, options)
  return staleAnswer({ bytes, ageMs: older.ageMs }, 'failed')
}

/**
 * With no upstream nobody is there to fetch a version from: what is held comes first, so that `go` picks
 * what it can get.
 */
export async function standInWhenOffline(
  question: MutableQuestion,
  older: Older | undefined,
  options: AskOptions,
): Promise<Answer<Uint8Array> | undefined> {
  const held = await heldAnswer(question, older?.ageMs, options)
  return held ?? (older && staleAnswer(older, 'offline'))
}

/** When nobody may be asked. Throws ModuleNotFoundError. */
export async function answerFromStore(
  question: MutableQuestion,
  older: Older | undefined,
  options: AskOptions,
): Promise<Answer<Uint8Array>> {
  if (older !== undefined) return staleAnswer(older, 'not-asked')
  const held = await heldAnswer(question, undefined, options)
  if (held === undefined) throw notInStore(question.name)
  return held
}

async function heldAnswer(
  question: MutableQuestion,
  ageMs: number | undefined,
  options: AskOptions,
): Promise<Answer<Uint8Array> | undefined> {
  const value = await question.fromHeld(options)
  if (value === undefined) return undefined
  return { value, source: { kind: 'held' }, ...(ageMs !== undefined && { ageMs }) }
}

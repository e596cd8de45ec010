import type { AnswerStore, StoredAnswer } from '../src/answer-store.ts'

/** Answers that outlive a fill, in memory. */
export class MemoryAnswers implements AnswerStore {
  readonly kept: Map<string, StoredAnswer> = new Map()
  /** Calls so far. */
  readonly calls = { find: 0, put: 0, drop: 0 }

  async findAnswer(key: string): Promise<StoredAnswer | undefined> {
    this.calls.find++
    return this.kept.get(key)
  }

  async putAnswer(key: string, answer: StoredAnswer): Promise<void> {
    this.calls.put++
    this.kept.set(key, answer)
  }

  async dropAnswer(key: string): Promise<void> {
    this.calls.drop++
    this.kept.delete(key)
  }
}

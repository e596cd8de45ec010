/** An answer of upstream that may change, as it is kept over a restart. Not provable. */
export interface StoredAnswer {
  readonly bytes: Uint8Array
  /** The upstream's origin for display. */
  readonly from: string
  /** What upstream can be asked with whether it changed. */
  readonly validator: string | undefined
  /** When upstream last said so, milliseconds since 1970. */
  readonly confirmedMs: number
}

/**
 * Where lists, `@latest` and branch answers of upstream outlive the process. A cache: what cannot be
 * kept or read is absent, and no call rejects.
 */
export interface AnswerStore {
  findAnswer(key: string): Promise<StoredAnswer | undefined>
  putAnswer(key: string, answer: StoredAnswer): Promise<void>
  dropAnswer(key: string): Promise<void>
}

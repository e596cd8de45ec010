import type { MembershipStore } from './membership-store.ts'

/** Keeps a value stored as it changes: of many changes at once, one write takes them all. */
export class DurableValue {
  readonly #store: MembershipStore
  readonly #encode: () => Uint8Array
  #running: Promise<void> | undefined
  #waiting: Promise<void> | undefined

  constructor(store: MembershipStore, encode: () => Uint8Array) {
    this.#store = store
    this.#encode = encode
  }

  /** Resolves when what the value is now, or later, is durable. Throws what the store throws. */
  save(): Promise<void> {
    if (this.#running === undefined) return this.#start()
    this.#waiting ??= this.#after(this.#running)
    return this.#waiting
  }

  async #after(running: Promise<void>): Promise<void> {
    await running.catch(() => {}) // its own callers hear of it
    this.#waiting = undefined
    await this.#start()
  }

  #start(): Promise<void> {
    const running = this.#write().finally(() => {
      if (this.#running === running) this.#running = undefined
    })
    this.#running = running
    return running
  }

  async #write(): Promise<void> {
    await this.#store.write(this.#encode())
  }
}

/** Keeps nothing over a restart. */
export class ForgetfulStore implements MembershipStore {
  #bytes: Uint8Array | undefined

  read(): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#bytes)
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#bytes = bytes
    return Promise.resolve()
  }
}

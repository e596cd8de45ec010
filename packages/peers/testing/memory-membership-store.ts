import type { MembershipStore } from '../src/membership/membership-store.ts'

/** Keeps a membership in memory; `bytes` is what a restart would find. */
export class MemoryMembershipStore implements MembershipStore {
  bytes: Uint8Array | undefined

  constructor(bytes?: Uint8Array) {
    this.bytes = bytes
  }

  read(): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.bytes)
  }

  write(bytes: Uint8Array): Promise<void> {
    this.bytes = bytes
    return Promise.resolve()
  }
}

/** Where the membership is kept: one small durable value, readable by its owner only since it may hold the root key. */
export interface MembershipStore {
  read(): Promise<Uint8Array | undefined>
  /** Resolves when the bytes are durable. */
  write(bytes: Uint8Array): Promise<void>
}

/**
 * Gives the memory of a buffer back at once; nobody may use it afterwards. To V8 a large buffer is a small object: left to
 * it, each 64 MB of them cost a collection of the whole heap, which is a sixth of the time of verifying zips. Memory of
 * Node's pool stays.
 */
export function freeBuffer(buffer: Buffer): void {
  const memory = buffer.buffer
  // Others have parts of the pool.
  if (memory.byteLength === Buffer.poolSize || !(memory instanceof ArrayBuffer)) return
  memory.transfer(0)
}

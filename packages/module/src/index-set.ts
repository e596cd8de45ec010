import type { InvalidFileError } from './errors.ts'
import { VarintReader, VarintWriter } from './varints.ts'

/** Writes rising numbers as runs: how many are left out, how many are in, and so on. */
export function encodeIndices(indices: readonly number[]): Uint8Array {
  const out = new VarintWriter()
  let next = 0
  for (let i = 0; i < indices.length; ) {
    const first = indices[i] ?? 0
    let length = 1
    while (indices[i + length] === first + length) length++
    out.number(first - next)
    out.number(length)
    next = first + length
    i += length
  }
  return out.finish()
}

/** Reads what encodeIndices wrote of numbers below `count`. Throws InvalidFileError. */
export function decodeIndices(bytes: Uint8Array, count: number): number[] {
  const reader = new VarintReader(bytes, 'list of files')
  const indices: number[] = []
  let next = 0
  while (!reader.isAtEnd) {
    const gap = reader.number(count - next)
    const length = reader.number(count - next - gap)
    const isRun = length > 0 && (gap > 0 || next === 0)
    if (!isRun) throw emptyRun(reader)
    for (let i = 0; i < length; i++) indices.push(next + gap + i)
    next += gap + length
  }
  return indices
}

function emptyRun(reader: VarintReader): InvalidFileError {
  return reader.fault('a run is empty, or goes on from the one before')
}

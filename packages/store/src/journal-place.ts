import { crc32 } from 'node:zlib'

/** Segments stay below 2^27 bytes, so that a place is one number. */
const placeUnit = 2 ** 27

/** Where a frame is: a segment and an offset in one number. */
export function placeOf(segment: number, offset: number): number {
  return segment * placeUnit + offset
}

/** The segment of a place. */
export function segmentOf(place: number): number {
  return Math.floor(place / placeUnit)
}

/** The offset of a place within its segment. */
export function offsetOf(place: number): number {
  return place % placeUnit
}

/** A key's part in the sum over all: added and taken away by exclusive or. */
export function placeSum(key: string, place: number): number {
  return crc32(`${key}\n${place}`) | 0
}

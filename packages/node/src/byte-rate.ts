import { parseByteSize } from './byte-size.ts'

/** Reads a size for each second, `10MB/s` or `10MB`; undefined for anything else. Bytes per second. */
export function parseByteRate(text: string): number | undefined {
  return parseByteSize(text.endsWith('/s') ? text.slice(0, -'/s'.length) : text)
}

import { FileReader } from './file-reader.ts'
import type { HttpFetcher } from './http-fetcher.ts'
import { HttpReader } from './http-reader.ts'
import type { FileEntry, HttpEntry } from './proxy-list.ts'
import type { UpstreamReader } from './upstream-reader.ts'

/** The reader for an entry of the list. `encode` writes a path for a URL. */
export function openReader(
  entry: HttpEntry | FileEntry,
  http: HttpFetcher,
  encode: (path: string) => string,
): UpstreamReader {
  return entry.kind === 'file' ? new FileReader(entry) : new HttpReader(entry, http, encode)
}

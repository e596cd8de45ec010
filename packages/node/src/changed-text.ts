import type { ChangedLine } from './changed-hashes.ts'
import { formatDuration } from './duration.ts'
import { printableName } from './printable.ts'

/** Writes what changed for people: what, both hashes, who sent it. */
export function changedText(line: ChangedLine, nowMs: number): readonly string[] {
  const what = line.part === 'zip' ? 'its zip' : 'its go.mod'
  const ago = formatDuration(nowMs - Date.parse(line.at))
  return [
    `${printableName(line.module)}: ${what} changed since it was first seen`,
    `  first ${line.first}`,
    `  now   ${line.seen} from ${printableName(line.from)}, ${ago} ago`,
  ]
}

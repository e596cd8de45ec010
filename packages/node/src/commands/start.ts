import type { ExitCode } from '../exit-codes.ts'
import { type FlagTexts, readOptions } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'

/** `modmesh start`. */
export async function start(flags: FlagTexts, around: Surroundings): Promise<ExitCode> {
  await readOptions(flags, around)
  return 1
}

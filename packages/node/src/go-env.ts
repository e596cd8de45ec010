import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Surroundings } from './settings.ts'

/** `go env` reads two small files; a toolchain that is being switched must not be waited for long. Milliseconds. */
const goTimeoutMs = 10_000

/** Asks `go` of this host for its variables, those of `go env -w` included; undefined when there is no `go` that answers. */
export async function readGoEnv(
  names: readonly string[],
  around: Surroundings,
): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    // GOTOOLCHAIN=local: looking must not download another go.
    const env = { ...around.env, GOTOOLCHAIN: 'local' }
    const options = { env, cwd: around.cwd, timeout: goTimeoutMs }
    const { stdout } = await promisify(execFile)('go', ['env', '-json', ...names], options)
    return new Map(Object.entries(JSON.parse(stdout) as Record<string, string>))
  } catch {
    return undefined // not installed, or broken: whoever asks says so
  }
}

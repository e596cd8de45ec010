import { execFileSync } from 'node:child_process'
import { programPath } from './start-node.ts'

/** Bundles the program, before tests whose nodes would each do it, and before a start is timed. */
export function bundleProgram(): void {
  execFileSync(process.execPath, [programPath, '--version'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/** What vitest calls before everything. */
export { bundleProgram as setup }

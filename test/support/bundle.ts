import { execFileSync } from 'node:child_process'
import { programPath } from './start-node.ts'

/** Bundles the program before the tests: nodes that start at one time would each do it. */
export function setup(): void {
  execFileSync(process.execPath, [programPath, '--version'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

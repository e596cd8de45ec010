import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { goEnvironment } from '../../support/project.ts'

/** What a load of some seconds came to. */
export interface Load {
  readonly requests: number
  readonly failed: number
  readonly seconds: number
  readonly megabytes: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

/** Asks servers for paths over several connections; a Go program, since Go is what asks. */
export class LoadMaker {
  readonly #scratch: string
  readonly #program: string

  constructor(scratch: string) {
    this.#scratch = join(scratch, 'load')
    this.#program = join(this.#scratch, 'load')
    mkdirSync(this.#scratch, { recursive: true })
    const source = fileURLToPath(new URL('load.go', import.meta.url))
    const env = goEnvironment(join(this.#scratch, 'go'))
    execFileSync('go', ['build', '-o', this.#program, source], { env })
  }

  /** Runs one load. `paths` begin with a slash and are asked for in turn. */
  async run(
    base: string,
    paths: readonly string[],
    how: { readonly connections: number; readonly seconds: number },
  ): Promise<Load> {
    const list = join(this.#scratch, 'paths')
    writeFileSync(list, paths.join('\n'))
    const args = [base, String(how.connections), String(how.seconds), list]
    const { stdout } = await promisify(execFile)(this.#program, args)
    return JSON.parse(stdout) as Load
  }
}

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Whether a `go` command is there to be compared with. */
export const hasGo: boolean = spawnSync('go', ['version']).status === 0

/** testdata/go-std/main.go, built with the standard library alone. */
export class GoStd implements Disposable {
  readonly folder: string = mkdtempSync(join(tmpdir(), 'modmesh-go-std-'))

  constructor() {
    const source = join(import.meta.dirname, '../../testdata/go-std/main.go')
    const env = { ...process.env, GOPROXY: 'off', GOTOOLCHAIN: 'local', GO111MODULE: 'on' }
    execFileSync('go', ['build', '-o', join(this.folder, 'go-std'), source], {
      cwd: this.folder,
      env: { ...env, GOFLAGS: '', GOWORK: 'off' },
    })
  }

  /** What it prints. */
  read(command: string, input = ''): string {
    const options = { input, maxBuffer: 2 ** 28 }
    return execFileSync(join(this.folder, 'go-std'), [command], options).toString()
  }

  /** Its answers to lists of arguments. */
  answers(command: string, questions: readonly (readonly string[])[]): unknown[] {
    const input = questions.map((question) => `${JSON.stringify(question)}\n`).join('')
    return this.read(command, input)
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true })
  }
}

import { type ChildProcess, spawn } from 'node:child_process'
import { killGraceMs } from './limits.ts'

/**
 * Reads `+ GROUP` and `- GROUP` lines. Its input ends when we do, however: then it ends the groups that are left, as
 * an abort would have. Its argument is the seconds between asking and killing.
 */
const script = `
groups=
while read -r sign group; do
  rest=
  for each in $groups; do [ "$each" = "$group" ] || rest="$rest $each"; done
  groups=$rest
  [ "$sign" = + ] && groups="$groups $group"
done
[ -n "$groups" ] || exit 0
for each in $groups; do kill -s TERM -- "-$each"; done
sleep "$1"
for each in $groups; do kill -s KILL -- "-$each"; done
`

/**
 * Ends process groups when this process is killed and cannot do it itself: a git that waits for a server that hangs
 * would wait on for ever. One small shell for all of them, started with the first.
 */
export class Watchdog {
  readonly #graceMs: number
  #shell: ChildProcess | undefined

  /** Milliseconds from asking to killing; killGraceMs if not given. */
  constructor({ graceMs = killGraceMs }: { readonly graceMs?: number } = {}) {
    this.#graceMs = graceMs
  }

  /** Watches a group; returns how to end that. */
  watch(group: number): () => void {
    this.#tell(`+ ${group}`)
    return () => this.#tell(`- ${group}`)
  }

  /** Lets the shell end. */
  close(): void {
    this.#shell?.stdin?.end()
    this.#shell = undefined
  }

  #tell(line: string): void {
    this.#shell ??= this.#start()
    this.#shell.stdin?.write(`${line}\n`)
  }

  #start(): ChildProcess {
    const { PATH } = process.env
    const shell = spawn('/bin/sh', ['-c', script, 'watchdog', String(this.#graceMs / 1_000)], {
      cwd: '/',
      env: PATH === undefined ? {} : { PATH },
      // A signal for our own group, as Ctrl-C in a terminal is, must not end it.
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    const gone = (): void => {
      if (this.#shell === shell) this.#shell = undefined
    }
    // Without a shell groups end with us, as long as we end in good order.
    shell.once('error', gone)
    shell.once('exit', gone)
    shell.stdin.on('error', gone)
    // It alone keeps nobody from ending.
    shell.unref()
    if ('unref' in shell.stdin && typeof shell.stdin.unref === 'function') shell.stdin.unref()
    return shell
  }
}

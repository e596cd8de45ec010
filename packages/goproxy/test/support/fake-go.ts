import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A `go` for `direct` that asks nobody: what it says of a module depends on words in its path. It writes down how it
 * was called, how many of it ran at once, and in what environment.
 */
const script = `#!/bin/sh
printf '%s\\n' "$*" >> "$FAKE_DIR/calls"
[ "$1" = env ] && { echo "$FAKE_GOPRIVATE"; exit 0; }
env > "$FAKE_DIR/env"
cut=$FAKE_DIR/running.$$
: > "$cut"
ls "$FAKE_DIR" | grep -c running >> "$FAKE_DIR/counts"
kind=$1
while [ "$1" != -- ]; do shift; done
shift
for name in "$@"; do
  path=\${name%@*}
  version=\${name#"$path"}
  version=\${version#@}
  case $name in
    *hang*) echo $$ > "$FAKE_DIR/hanging"; sleep 1000 ;;
    *huge*) exec cat /dev/zero ;;
    *slow*) sleep 0.2 ;;
  esac
  error=
  case $name in
    *silent*) continue ;;
    *missing*) error="module $path: no matching versions for query" ;;
    *broken*) error="git fetch in $PWD: exit status 128:\\\\n\\\\tfatal: Authentication failed for 'https://bob:hunter2-Secret@git.test/x'" ;;
  esac
  if [ -n "$error" ]; then
    [ "$kind" = list ] && error="{\\"Err\\": \\"$error\\"}" || error="\\"$error\\""
    printf '{\\n\\t"Path": "%s",\\n\\t"Error": %s\\n}\\n' "$path" "$error"
    continue
  fi
  [ "$version" = latest ] && version=v1.2.0
  [ "$version" = main ] && version=v1.2.1-0.20240301120000-0123456789ab
  files=$GOMODCACHE/$(printf '%s' "$name" | tr / _)
  mkdir -p "$GOMODCACHE"
  printf 'module %s\\n' "$path" > "$files.mod"
  printf '{"Version":"%s"}' "$version" > "$files.info"
  printf 'PK zip of %s' "$name" > "$files.zip"
  if [ -z "$version" ]; then
    printf '{\\n\\t"Path": "%s",\\n\\t"Versions": ["v1.0.0", "v1.2.0"]\\n}\\n' "$path"
  else
    printf '{\\n\\t"Path": "%s",\\n\\t"Version": "%s",\\n\\t"GoMod": "%s",\\n\\t"Info": "%s",\\n\\t"Zip": "%s"\\n}\\n' \\
      "$path" "$version" "$files.mod" "$files.info" "$files.zip"
  fi
done
rm -f "$cut"
`

/** A folder with that `go`, and nothing else that is called go or git. */
export class FakeGo implements AsyncDisposable {
  readonly dir: string

  static async make(): Promise<FakeGo> {
    const dir = await mkdtemp(join(tmpdir(), 'modmesh-fake-go-'))
    await writeFile(join(dir, 'go'), script)
    await chmod(join(dir, 'go'), 0o755)
    return new FakeGo(dir)
  }

  private constructor(dir: string) {
    this.dir = dir
  }

  /** The environment in which it is found. */
  get around(): Record<string, string> {
    return { PATH: `${this.dir}:/usr/bin:/bin`, HOME: this.dir, FAKE_DIR: this.dir }
  }

  /** How it was called since the last time, questions for its own settings left out. */
  async calls(): Promise<readonly string[]> {
    const lines = await this.#take('calls')
    return lines.filter((line) => !line.startsWith('env '))
  }

  /** How many ran at once, at most. */
  async mostAtOnce(): Promise<number> {
    return Math.max(0, ...(await this.#take('counts')).map(Number))
  }

  /** A variable, as the last call saw it. */
  async saw(name: string): Promise<string | undefined> {
    const lines = (await readFile(join(this.dir, 'env'), 'utf8')).split('\n')
    return lines.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1)
  }

  /** The one that hangs, once it does. */
  async hanging(): Promise<number | undefined> {
    const [pid] = await readFile(join(this.dir, 'hanging'), 'utf8').then(splitLines, () => [])
    return pid === undefined ? undefined : Number(pid)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true, force: true })
  }

  async #take(name: string): Promise<readonly string[]> {
    const path = join(this.dir, name)
    const lines = await readFile(path, 'utf8').then(splitLines, () => [])
    await rm(path, { force: true })
    return lines
  }
}

function splitLines(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}

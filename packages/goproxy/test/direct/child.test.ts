import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ChildResult, runChild } from '../../src/direct/child.ts'
import { maxErrorBytes, maxOutputBytes } from '../../src/direct/limits.ts'
import { Watchdog } from '../../src/direct/watchdog.ts'

let cwd = ''
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'modmesh-child-'))
})
afterAll(() => rm(cwd, { recursive: true, force: true }))

/** Long enough for a process that listens to end by itself. */
const graceMs = 300
const watchdog = new Watchdog({ graceMs })
afterAll(() => watchdog.close())

function sh(script: string, signal = new AbortController().signal): Promise<ChildResult> {
  const env = { PATH: process.env['PATH'] ?? '' }
  return runChild('/bin/sh', ['-c', script], { cwd, env, watchdog, graceMs }, { signal })
}

/** Whoever ended, and was not asked yet how, is not alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
    return stdout.trim() !== '' && !stdout.startsWith('Z')
  } catch {
    return false
  }
}

/** The process that a script wrote down as `NAME`. */
async function pidOf(name: string): Promise<number> {
  await expect.poll(() => readFile(join(cwd, name), 'utf8').catch(() => '')).toContain('\n')
  return Number(await readFile(join(cwd, name), 'utf8'))
}

const gone = (pid: number) => expect.poll(() => isAlive(pid), { interval: 100 }).toBe(false)

describe('a child', () => {
  test('gives its output and how it ended', async () => {
    expect(await sh('echo out; echo err >&2; exit 3')).toEqual({
      exitCode: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    expect(await sh('kill -9 $$')).toMatchObject({ exitCode: undefined })
  })

  test('has no input, no terminal and no more environment than it was given', async () => {
    const { stdout } = await sh('cat; tty; env')
    expect(stdout).toContain('not a tty')
    expect(stdout).not.toContain('HOME=')
  })

  test('that cannot be started says why', async () => {
    const { signal } = new AbortController()
    const started = runChild('no-such-command', [], { cwd, env: {}, watchdog }, { signal })
    await expect(started).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('is not started for whoever is gone already', async () => {
    const started = sh('touch started', AbortSignal.abort(new Error('gone')))
    await expect(started).rejects.toThrow('gone')
    await expect(readFile(join(cwd, 'started'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('that writes without end is ended', async () => {
    const endless = sh('echo $$ > endless; exec cat /dev/zero')
    await expect(endless).rejects.toMatchObject({
      code: 'CHILD_OUTPUT',
      message: `/bin/sh wrote more than ${maxOutputBytes} bytes`,
    })
    await gone(await pidOf('endless'))
  })

  test('that complains without end keeps the last of it', async () => {
    const result = await sh(
      'i=0; while [ $i -lt 3000 ]; do echo "line $i of many, many words"; i=$((i+1)); done >&2; echo last >&2',
    )
    expect(result.stderr.length).toBe(maxErrorBytes)
    expect(result.stderr.endsWith('line 2999 of many, many words\nlast\n')).toBe(true)
  })

  test('that hangs ends with all it started', async () => {
    const abort = new AbortController()
    const hanging = sh('sleep 1000 & echo $! > inner; sleep 1000', abort.signal)
    const inner = await pidOf('inner')
    expect(isAlive(inner)).toBe(true)
    abort.abort(new Error('too late'))
    await expect(hanging).rejects.toThrow('too late')
    await gone(inner)
  })

  test('that does not listen is killed', async () => {
    const abort = new AbortController()
    const deaf = sh("trap '' TERM; echo $$ > deaf; while :; do sleep 1; done", abort.signal)
    const pid = await pidOf('deaf')
    abort.abort(new Error('too late'))
    await expect(deaf).rejects.toThrow('too late')
    await gone(pid)
  })

  test('leaves nobody behind when it ends well', async () => {
    expect(await sh('sleep 1000 >/dev/null 2>&1 & echo $! > left')).toMatchObject({ exitCode: 0 })
    await gone(await pidOf('left'))
  })

  test('is not waited for longer because another session holds its output open', async () => {
    const startedMs = performance.now()
    const result = await sh('echo done; setsid sh -c "echo \\$\\$ > held; exec sleep 1000" &')
    expect(result.stdout).toBe('done\n')
    expect(performance.now() - startedMs).toBeLessThan(15_000)
    process.kill(await pidOf('held'), 'SIGKILL')
  })
})

describe('a watchdog', () => {
  test('ends the children of a process that was killed', async () => {
    const source = (name: string) =>
      fileURLToPath(new URL(`../../src/direct/${name}`, import.meta.url))
    const program = `
      import { runChild } from ${JSON.stringify(source('child.ts'))}
      import { Watchdog } from ${JSON.stringify(source('watchdog.ts'))}
      const init = { cwd: ${JSON.stringify(cwd)}, env: process.env, watchdog: new Watchdog({ graceMs: ${graceMs} }) }
      const { signal } = new AbortController()
      const run = (script) => runChild('/bin/sh', ['-c', script], init, { signal })
      await run('true')
      void run('sleep 1000 & echo $! > first; sleep 1000')
      await run("trap '' TERM; echo $$ > second; while :; do sleep 1; done")
    `
    const args = ['--input-type=module', '-e', program]
    const parent = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    const complaints = text(parent.stderr)
    const [first, second] = [await pidOf('first'), await pidOf('second')]
    expect([isAlive(first), isAlive(second)]).toEqual([true, true])
    parent.kill('SIGKILL')
    await once(parent, 'close')
    expect(await complaints).toBe('')
    await gone(first)
    await gone(second)
  })

  test('leaves those alone that are no longer watched', async () => {
    const dog = new Watchdog()
    const [other, watched] = [0, 1].map(() =>
      spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }),
    )
    dog.watch(other!.pid!)()
    dog.watch(watched!.pid!)
    dog.close()
    await once(watched!, 'exit')
    expect(isAlive(other!.pid!)).toBe(true)
    other!.kill('SIGKILL')
    await once(other!, 'exit')
  })
})

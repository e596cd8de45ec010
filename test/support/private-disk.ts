import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Why there can be no such disk here; undefined when there can. */
export const noPrivateDisk: string | undefined =
  process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0
    ? undefined
    : 'needs root and util-linux'

/**
 * A small file system in a mount namespace of its own, for a node to run on: nobody else sees it, and
 * it goes away with the process that holds it.
 */
export class PrivateDisk implements AsyncDisposable {
  /** Where it is mounted, for those inside. */
  readonly inside: string
  readonly #holder: ChildProcess

  static async mount(sizeMegabytes: number): Promise<PrivateDisk> {
    const inside = `/tmp/modmesh-disk-${process.pid}-${Math.random().toString(36).slice(2)}`
    const options = `size=${sizeMegabytes}m,mode=700`
    const script = `mkdir ${inside} && mount -t tmpfs -o ${options} none ${inside} && echo mounted && exec sleep 1000`
    const holder = spawn('unshare', ['-m', 'sh', '-c', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const disk = new PrivateDisk(inside, holder)
    await Promise.race([
      once(holder.stdout, 'data'),
      once(holder, 'exit').then(() => Promise.reject(new Error('no private disk'))),
    ])
    return disk
  }

  private constructor(inside: string, holder: ChildProcess) {
    this.inside = inside
    this.#holder = holder
  }

  /** How to start a program that sees it. */
  get through(): readonly string[] {
    return ['nsenter', '-t', String(this.#holder.pid), '-m', '--']
  }

  /** The same place, for those outside. */
  get outside(): string {
    return `/proc/${this.#holder.pid}/root${this.inside}`
  }

  /** Runs a program that sees it, to its end. Throws what it wrote when it fails. */
  run(...command: readonly string[]): void {
    const [program = '', ...args] = [...this.through, ...command]
    const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`${command.join(' ')}: ${stderr}`)
  }

  /** Writes into a file of somebody else's until nothing more fits. */
  async fill(): Promise<void> {
    const file = await open(this.#filler, 'a')
    try {
      for (let piece = 1 << 20; piece > 0; piece >>= 1) {
        while (await takes(file.write(Buffer.alloc(piece)))) continue
      }
    } finally {
      await file.close()
    }
  }

  /** Removes what `fill` wrote. */
  async free(): Promise<void> {
    await rm(this.#filler)
  }

  /** Every later opening under a folder is refused for writing; what is open stays open. */
  makeReadOnly(folder: string): void {
    this.run('mount', '--bind', folder, folder)
    this.run('mount', '-o', 'remount,bind,ro', folder)
  }

  /** Takes `makeReadOnly` back. */
  makeWritable(folder: string): void {
    this.run('umount', '-l', folder)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#holder, 'exit')
    this.#holder.kill('SIGKILL')
    await ended
    await rm(join(tmpdir(), this.inside.slice('/tmp/'.length)), { recursive: true, force: true })
  }

  get #filler(): string {
    return join(this.outside, 'filler')
  }
}

/** A short write fits in part: the next one says that it is full. */
async function takes(writing: Promise<{ readonly bytesWritten: number }>): Promise<boolean> {
  try {
    return (await writing).bytesWritten > 0
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return false
    throw error
  }
}

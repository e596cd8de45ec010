import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A member in a process of its own, so that a test can kill or freeze it. */
export interface MemberProcess extends AsyncDisposable {
  readonly peerId: string
  readonly address: string
  /** Ends it without a word, as a power cut does. */
  kill(): Promise<void>
  /** Stops it in the middle of whatever it does; its sockets stay open. */
  freeze(): void
  thaw(): void
}

/** Starts a member in a process of its own; it serves endlessProtocol. */
export async function startMemberProcess(ticket: string): Promise<MemberProcess> {
  const path = fileURLToPath(new URL('./member-process.ts', import.meta.url))
  const child = spawn(process.execPath, [path], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.write(`${ticket}\n`)
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  const { peerId, address }: { peerId: string; address: string } = JSON.parse(String(line))
  const kill = (): Promise<void> => end(child)
  return {
    peerId,
    address,
    kill,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    [Symbol.asyncDispose]: kill,
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

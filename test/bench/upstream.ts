import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Project } from '../support/project.ts'

/** A stand-in upstream in a process of its own, with a checksum database. */
export interface Upstream {
  readonly process: ChildProcess
  readonly url: string
  readonly gosumdb: string
}

/** Starts a stand-in upstream that waits `delayMs` before each answer. */
export function startUpstream(project: Project, delayMs: number): Promise<Upstream> {
  const script = fileURLToPath(new URL('../support/tree-upstream.ts', import.meta.url))
  const args = [script, project.tree, String(delayMs), project.sums]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => reject(new Error(`stand-in upstream ended: ${code}`)))
    child.stdout.setEncoding('utf8').once('data', (line: string) => {
      resolve({ process: child, ...(JSON.parse(line) as { url: string; gosumdb: string }) })
    })
  })
}

import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { escapeModulePath, escapeVersion, parseModuleVersion, type ZipHash } from '@modmesh/module'
import { DiskStore } from '@modmesh/store'
import type { PeerLine, RunningStatus } from '../../packages/node/src/status.ts'
import type { NamedModule } from './module-zip.ts'
import type { StartedNode } from './start-node.ts'

/** Makes a ticket with the real command. */
export async function invite(node: StartedNode): Promise<string> {
  const { code, stdout, stderr } = await node.run(['invite'])
  if (code !== 0) throw new Error(`invite failed (${code}): ${stderr}`)
  return stdout.trim()
}

/** Reads a running node's status page: what `status --json` prints, without a process of its own. */
export async function statusOf(node: StartedNode): Promise<RunningStatus> {
  return (await (await fetch(`${node.url}/-/status`)).json()) as RunningStatus
}

/** Asks a running node for its status with the real command. */
export async function askStatus(node: StartedNode): Promise<RunningStatus> {
  const { code, stdout, stderr } = await node.run(['status', '--json'])
  if (code !== 0) throw new Error(`status failed (${code}): ${stderr}`)
  return JSON.parse(stdout) as RunningStatus
}

/** What a node says of one peer; undefined when it names none such. */
export async function peerOf(node: StartedNode, peerId: string): Promise<PeerLine | undefined> {
  const { mesh } = await statusOf(node)
  return mesh.peers.find(({ id }) => id === peerId)
}

/** How long two nodes may take to meet, ms. */
const meetMs = 90_000

/**
 * Resolves when a node is connected to another one and knows what that holds. A node that joins is ready after two
 * seconds without anybody, too, and on a busy machine those pass.
 */
export async function untilMet(
  node: StartedNode,
  holder: Pick<StartedNode, 'peerId'>,
  { inventory = true }: { readonly inventory?: boolean } = {},
): Promise<void> {
  const endMs = performance.now() + meetMs
  for (;;) {
    const { connected = false, holds = null } = (await peerOf(node, holder.peerId)) ?? {}
    if (connected && (!inventory || holds !== null)) return
    if (performance.now() > endMs) throw new Error('the two did not meet')
    await sleep(50)
  }
}

/** The URL path of a file of a module version. */
export function filePath({ path, version }: NamedModule, suffix: 'zip' | 'mod' | 'info'): string {
  const module = parseModuleVersion(path, version)
  return `/${escapeModulePath(module.path)}/@v/${escapeVersion(version)}.${suffix}`
}

/** What the store of a node that is not running holds, everything hashed again. */
export interface CheckedStore {
  readonly zips: readonly { readonly module: string; readonly zipHash: ZipHash }[]
  readonly mods: number
  /** What does not verify, with the reason. */
  readonly bad: readonly string[]
  /** Files that were set aside as damaged. */
  readonly quarantined: readonly string[]
}

/** Opens a copy of a data directory, as the next start would, and verifies all that is in it. */
export async function checkStore(dir: string): Promise<CheckedStore> {
  const copy = await mkdtemp(join(tmpdir(), 'modmesh-copy-'))
  try {
    await cp(dir, copy, { recursive: true, filter: (source) => !source.endsWith('.sock') })
    return await readStore(copy)
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

async function readStore(dir: string): Promise<CheckedStore> {
  await using store = await DiskStore.open({ dir })
  const { signal } = new AbortController()
  const bad: string[] = []
  for await (const outcome of store.verifyAll({ signal })) {
    const { path, version } = outcome.module
    if (!outcome.ok) bad.push(`${outcome.what} of ${path}@${version}: ${outcome.reason}`)
  }
  const zips: CheckedStore['zips'][number][] = []
  for await (const { module, zipHash } of store.contents()) {
    zips.push({ module: `${module.path}@${module.version}`, zipHash })
  }
  const { mods } = await store.stats()
  return { zips, mods, bad, quarantined: await filesIn(dir, 'quarantine') }
}

/** Files under `staging/` of a data directory: bodies that came in part. */
export function stagedIn(dir: string): Promise<string[]> {
  return filesIn(dir, 'staging')
}

async function filesIn(dir: string, folder: string): Promise<string[]> {
  const store = join(dir, 'store/v1')
  const folders = await readdir(store)
  return folders.includes(folder) ? await readdir(join(store, folder)) : []
}

import { access, constants, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { errorCode, errorText } from '../errors.ts'
import { parseHostPort } from '../option-values.ts'
import { pathExists } from '../path-exists.ts'
import type { Settings } from '../settings.ts'
import { type Finding, fail, ok } from './finding.ts'

/** Looks for what keeps a node from running, where none runs. */
export async function checkStopped(
  settings: Pick<Settings, 'dir' | 'listen' | 'meshListen'>,
  message: string,
): Promise<readonly Finding[]> {
  const { dir, listen, meshListen } = settings
  return [
    fail('node', message, `modmesh start --dir ${dir}`),
    await checkDir(dir),
    await checkHeld(dir),
    ...(await Promise.all([
      ...listen.map((text) => checkPort('local-port', text, '--listen')),
      checkPort('mesh-port', meshListen, '--mesh-listen'),
    ])),
  ]
}

async function checkDir(dir: string): Promise<Finding> {
  const id = 'dir'
  try {
    if (!(await pathExists(dir))) return ok(id, `${dir} is not there yet`)
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK)
    const { bavail, bsize } = await statfs(dir)
    if (bavail * bsize < 1 << 20) {
      return fail('disk', `the disk of ${dir} is full`, 'free space, then start the node')
    }
    return ok(id, `${dir} can be used`)
  } catch (error) {
    const why = { EROFS: 'is on a read-only file system', EACCES: 'is not ours to write' }
    const reason = why[errorCode(error) as keyof typeof why] ?? errorText(error)
    return fail(id, `${dir} ${reason}`, 'mount it for writing, chown it, or choose another --dir')
  }
}

/** Somebody who holds the store and does not answer: a command that works on it, or a node that hangs. */
async function checkHeld(dir: string): Promise<Finding> {
  const id = 'store-held'
  const free = ok(id, 'no other process holds the store')
  if (!(await pathExists(join(dir, 'store')).catch(() => false))) return free
  const { DiskStore, StoreLockedError } = await import('@modmesh/store')
  try {
    await using _store = await DiskStore.open({ dir })
    return free
  } catch (error) {
    if (!(error instanceof StoreLockedError)) {
      return fail('store', `the store cannot be opened: ${errorText(error)}`, `look at ${dir}`)
    }
    const who = error.pid === undefined ? 'another process' : `process ${error.pid}`
    const fix =
      error.pid === undefined ? 'wait for it, or end it' : `wait for it, or: kill ${error.pid}`
    return fail(id, `${who} holds the store, and answers no command`, fix)
  }
}

async function checkPort(id: string, text: string, flag: string): Promise<Finding> {
  const address = parseHostPort(text)
  if (address === undefined || address.port === 0) return ok(id, `${text} needs no free port`)
  const taken = await bindFault(address)
  if (taken === undefined) return ok(id, `${text} is free`)
  const why = taken === 'EADDRINUSE' ? 'is taken by another program' : `cannot be had (${taken})`
  const fix = `ss -ltnp 'sport = :${address.port}' names it; or choose another ${flag}`
  return fail(id, `${text} ${why}`, fix)
}

function bindFault(address: {
  readonly host: string
  readonly port: number
}): Promise<string | undefined> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', (error) => resolve(errorCode(error) ?? errorText(error)))
    server.listen({ ...address, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

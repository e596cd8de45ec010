/** One end of a transfer, in a process of its own; see end.ts for what is said. */
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseZipHash } from '@modmesh/module'
import { giveBare, openBare } from '@modmesh/peers/testing'
import { buildModuleZip } from '../../support/module-zip.ts'
import type { EndRole, Given } from './end.ts'
import { givenModule, keepZip, startMember, takeZip } from './member.ts'

const nothing = async (): Promise<number> => 0
const nobody: Given = { where: '', peer: '', zipHash: '', bytes: 0 }
const role = JSON.parse(process.argv[2] ?? '') as EndRole
const take = await open(role)
process.on('message', (ask) => void answer(ask))

async function answer(ask: unknown): Promise<void> {
  const seconds = ask === 'take' ? await take() : 0
  const { user, system } = process.cpuUsage()
  process.send?.({ seconds, cpuSeconds: (user + system) / 1e6 })
}

/** Prepares this end and says what the other one needs to know; returns how to fetch once. */
async function open(role: EndRole): Promise<() => Promise<number>> {
  switch (role.kind) {
    case 'giver': {
      const member = await startMember(role.dir)
      const { mesh } = member
      const zipHash = await keepZip(member, noise(role.bytes))
      tell({ ...nobody, where: await mesh.invite({}), peer: mesh.peerId, zipHash })
      return nothing
    }
    case 'taker': {
      const { where, peer, zipHash } = role.given
      const member = await startMember(role.dir, where)
      tell(nobody)
      return () => takeZip(member, peer, parseZipHash(zipHash))
    }
    case 'bare-giver': {
      const file = join(role.dir, 'body')
      writeFileSync(file, randomBytes(role.bytes))
      tell({ ...nobody, where: await giveBare(file), bytes: role.bytes })
      return nothing
    }
    case 'bare-taker': {
      const { where, bytes } = role.given
      const take = await openBare(where)
      tell(nobody)
      return async () => {
        const started = performance.now()
        const got = await take(join(role.dir, 'body'))
        if (got !== bytes) throw new Error(`${got} of ${bytes} bytes came`)
        return (performance.now() - started) / 1000
      }
    }
  }
}

function tell(given: Given): void {
  process.send?.(given)
}

/** A valid zip whose size is all noise, stored: what matters here are its bytes on the way. */
function noise(bytes: number): Uint8Array {
  return buildModuleZip(
    givenModule,
    { 'noise.bin': randomBytes(bytes) },
    { all: { method: 'store' } },
  )
}

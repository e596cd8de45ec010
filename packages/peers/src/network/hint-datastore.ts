import { createHash } from 'node:crypto'
import { NotFoundError } from '@libp2p/interface'
import { LevelDatastore } from 'datastore-level'
import type { Batch, Key, Pair } from 'interface-datastore'
import { Key as DatastoreKey } from 'interface-datastore'
import type { Level } from 'level'
import { base32 } from 'multiformats/bases/base32'
import { type HintQuota, isPeerKey } from './hint-quota.ts'
import { maxRecordBytes } from './limits.ts'
import { PeerRecords } from './peer-records.ts'

const checksumBytes = 8

/**
 * Keeps libp2p's peers and DHT records within quotas. All of it is hints: a write that fails or
 * passes a quota is dropped, a damaged value is absent, and neither stops the mesh. Values carry a
 * checksum over key and value, since level returns flipped bits as good data.
 */
export class HintDatastore extends LevelDatastore {
  readonly #quota: HintQuota
  readonly #peers: PeerRecords

  constructor(db: Level<string, Uint8Array>, quota: HintQuota) {
    super(db)
    this.#quota = quota
    this.#peers = new PeerRecords(db, { seal })
  }

  /** Counts what is there; call once before use. */
  async count(): Promise<void> {
    for await (const key of this.db.keys()) this.#quota.found(key)
  }

  override async put(key: Key, value: Uint8Array): Promise<Key> {
    const name = key.toString()
    if (value.byteLength > maxRecordBytes) {
      await this.delete(key)
      return key
    }
    const isPeer = isPeerKey(name)
    const verdict = this.#quota.admit(name, !isPeer && this.db.getSync(name) !== undefined)
    if (verdict.evict !== undefined) await this.delete(new DatastoreKey(verdict.evict, false))
    if (isPeer) this.#peers.put(name, value)
    else if (verdict.admitted) await this.#write(name, value)
    return key
  }

  override async get(key: Key): Promise<Uint8Array> {
    const name = key.toString()
    const value = await this.#find(name)
    if (value === undefined) throw new NotFoundError(`no record ${name}`)
    return value
  }

  override async has(key: Key): Promise<boolean> {
    return (await this.#find(key.toString())) !== undefined
  }

  override async delete(key: Key): Promise<void> {
    const name = key.toString()
    try {
      const isKnown = this.#peers.get(name) !== undefined || this.db.getSync(name) !== undefined
      if (!isKnown) return
      await this.#peers.delete(name)
      this.#quota.removed(name)
    } catch {
      // A hint that cannot be deleted now is deleted by a later pass or never used.
    }
  }

  /** When a peer last announced a content here, wall clock; undefined when no record of it is kept. */
  async announcedMs(multihash: Uint8Array, peerId: string): Promise<number | undefined> {
    const value = await this.#find(`/dht/provider/${base32.baseEncode(multihash)}/${peerId}`)
    return value && decodeVarint(value)
  }

  override batch(): Batch {
    const steps: (() => Promise<unknown>)[] = []
    return {
      put: (key, value) => void steps.push(() => this.put(key, value)),
      delete: (key) => void steps.push(() => this.delete(key)),
      commit: async () => {
        for (const step of steps.splice(0)) await step()
      },
    }
  }

  override async *_query(options: { values: boolean; prefix?: string }): AsyncGenerator<Pair> {
    await this.#peers.flush()
    try {
      for await (const pair of super._query({ ...options, values: true })) {
        const value = open(pair.key.toString(), pair.value)
        if (value !== undefined) yield { key: pair.key, value }
      }
    } catch {
      // A damaged table ends the listing; what follows it is as good as unknown.
    }
  }

  override async close(): Promise<void> {
    await this.#peers.flush()
    await super.close()
  }

  async #find(name: string): Promise<Uint8Array | undefined> {
    const recent = this.#peers.get(name)
    if (recent !== undefined) return recent
    const value = open(name, await this.#read(name))
    if (value !== undefined && isPeerKey(name)) this.#peers.loaded(name, value)
    return value
  }

  async #read(name: string): Promise<Uint8Array | undefined> {
    try {
      return await this.db.get(name)
    } catch {
      // A damaged block: the record is as good as unknown.
      return undefined
    }
  }

  async #write(name: string, value: Uint8Array): Promise<void> {
    try {
      await this.db.put(name, seal(name, value))
    } catch {
      // A full disk must not fail the stream that libp2p was opening.
      this.#quota.removed(name)
    }
  }
}

function seal(name: string, value: Uint8Array): Uint8Array {
  return Buffer.concat([checksum(name, value), value])
}

function open(name: string, sealed: Uint8Array | undefined): Uint8Array | undefined {
  if (sealed === undefined || sealed.byteLength < checksumBytes) return undefined
  const value = sealed.subarray(checksumBytes)
  const expected = checksum(name, value)
  if (Buffer.compare(sealed.subarray(0, checksumBytes), expected) !== 0) return undefined
  // level gives Buffers, whose slice() shares memory where a Uint8Array's copies.
  return new Uint8Array(value)
}

function checksum(name: string, value: Uint8Array): Uint8Array {
  return createHash('sha256').update(`${name}\n`).update(value).digest().subarray(0, checksumBytes)
}

/** As the DHT writes times: seven bits a byte, the least first. */
function decodeVarint(bytes: Uint8Array): number {
  let value = 0
  for (const [at, byte] of bytes.subarray(0, 8).entries()) value += (byte & 127) * 128 ** at
  return value
}

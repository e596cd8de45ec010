import { matchesPatterns, parsePatterns } from '@modmesh/module'
import type { DiskStore } from '@modmesh/store'
import { parseGosumdb, SumdbClient, SumdbUnavailableError } from '@modmesh/sumdb'
import { noChecksumDb, sumdbOps } from '../checksum-database.ts'
import type { Settings } from '../settings.ts'
import type { AdoptTrust } from './answer-adopt.ts'
import type { GoRecords } from './go-records.ts'

/** Opens what is believed where no node runs: what the store and the cache can prove, and nobody is asked. */
export function openOfflineTrust(
  store: DiskStore,
  settings: Pick<Settings, 'sumdb' | 'private'>,
): AdoptTrust & AsyncDisposable {
  const sumdb = parseGosumdb(settings.sumdb)
  const ask = undefined
  const onAdded = (): void => {}
  if (sumdb.kind === 'off') {
    const none = { checksumDb: noChecksumDb, key: undefined, ask, onAdded, onRecords: () => {} }
    return { ...none, [Symbol.asyncDispose]: async () => {} }
  }
  const patterns = parsePatterns(settings.private.join(','))
  let records: GoRecords | undefined
  const ops = sumdbOps(store.sumdbCache(sumdb.name), async (path) => {
    const tile = path.startsWith('/tile/') ? await records?.tile(path) : undefined
    if (tile !== undefined) return tile
    throw new SumdbUnavailableError('no node is running that could ask the checksum database')
  })
  const isPrivate = (path: string): boolean => matchesPatterns(patterns, path)
  const client = new SumdbClient({ ops }, { key: sumdb.key, isPrivate })
  return {
    checksumDb: client,
    key: sumdb.key,
    ask,
    onAdded,
    onRecords: (found) => {
      records = found
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  }
}

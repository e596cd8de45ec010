import {
  maxPeerRecords,
  maxProviderRecords,
  maxProviderRecordsPerPeer,
  maxValueRecords,
} from './limits.ts'

/** The quotas of hints; a test may lower them. */
export interface HintLimits {
  readonly peerRecords: number
  readonly providerRecords: number
  readonly providerRecordsPerPeer: number
  readonly valueRecords: number
}

const hintLimits: HintLimits = {
  peerRecords: maxPeerRecords,
  providerRecords: maxProviderRecords,
  providerRecordsPerPeer: maxProviderRecordsPerPeer,
  valueRecords: maxValueRecords,
}

type Kind = 'peer' | 'provider' | 'value' | 'other'

/** Counts the hints of each kind and says which may come in, so that no peer fills the disk. */
export class HintQuota {
  readonly #selfPeerId: string
  readonly #limits: HintLimits
  /** Peer records, least recently written first. */
  readonly #peers = new Set<string>()
  readonly #providers = new Map<string, number>()
  #providerCount = 0
  #valueCount = 0

  constructor(init: { readonly selfPeerId: string; readonly limits?: HintLimits | undefined }) {
    this.#selfPeerId = init.selfPeerId
    this.#limits = init.limits ?? hintLimits
  }

  /** Counts a record that is there at start. */
  found(key: string): void {
    this.#add(key)
  }

  /** Says whether a record may be written, and which one has to go for it. */
  admit(
    key: string,
    exists: boolean,
  ): { readonly admitted: boolean; readonly evict: string | undefined } {
    if (kindOf(key) === 'peer') return this.#admitPeer(key)
    if (exists) return { admitted: true, evict: undefined }
    const admitted = this.#hasRoom(key)
    if (admitted) this.#add(key)
    return { admitted, evict: undefined }
  }

  /** Takes a record off the count. */
  removed(key: string): void {
    switch (kindOf(key)) {
      case 'peer':
        this.#peers.delete(key)
        break
      case 'provider':
        this.#countProvider(providerOf(key), -1)
        break
      case 'value':
        this.#valueCount = Math.max(0, this.#valueCount - 1)
        break
      case 'other':
        break
    }
  }

  #admitPeer(key: string): { admitted: boolean; evict: string | undefined } {
    this.#peers.delete(key)
    this.#peers.add(key)
    if (this.#peers.size <= this.#limits.peerRecords) return { admitted: true, evict: undefined }
    return { admitted: true, evict: this.#peers.values().next().value }
  }

  #hasRoom(key: string): boolean {
    switch (kindOf(key)) {
      case 'provider': {
        const peer = providerOf(key)
        // Our own records are what we reprovide: others must not be able to push them out.
        if (peer === this.#selfPeerId) return true
        const ofPeer = this.#providers.get(peer) ?? 0
        return (
          this.#providerCount < this.#limits.providerRecords &&
          ofPeer < this.#limits.providerRecordsPerPeer
        )
      }
      case 'value':
        return this.#valueCount < this.#limits.valueRecords
      case 'peer':
      case 'other':
        return true
    }
  }

  #add(key: string): void {
    switch (kindOf(key)) {
      case 'peer':
        this.#peers.add(key)
        break
      case 'provider':
        this.#countProvider(providerOf(key), 1)
        break
      case 'value':
        this.#valueCount++
        break
      case 'other':
        break
    }
  }

  #countProvider(peer: string, by: 1 | -1): void {
    const count = (this.#providers.get(peer) ?? 0) + by
    if (count > 0) this.#providers.set(peer, count)
    else this.#providers.delete(peer)
    this.#providerCount = Math.max(0, this.#providerCount + by)
  }
}

/** Whether a key is that of a peer's record. */
export function isPeerKey(key: string): boolean {
  return key.startsWith('/peers/')
}

function kindOf(key: string): Kind {
  if (isPeerKey(key)) return 'peer'
  if (key.startsWith('/dht/provider/')) return 'provider'
  if (key.startsWith('/dht/record/')) return 'value'
  return 'other'
}

// `/dht/provider/<cid>/<peer id>`
function providerOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}

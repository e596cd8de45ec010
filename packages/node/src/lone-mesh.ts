import type { HeldZip, ModuleRecord, PeerId, Peers } from '@modmesh/fill'
import type { ModulePath, ModuleVersion, Version, ZipHash } from '@modmesh/module'

export interface ShelfItem {
  readonly module: ModuleVersion
  readonly zipHash: ZipHash
}
export interface PeerShelf {
  contents(): AsyncIterable<ShelfItem>
  onAdded(listener: (item: ShelfItem) => void): () => void
  findContent(zipHash: ZipHash): Promise<HeldZip | undefined>
  record(module: ModuleVersion): Promise<Omit<ModuleRecord, 'peer'> | undefined>
  versions(path: ModulePath): Promise<readonly Version[]>
  tile(database: string, path: string): Promise<Uint8Array | undefined>
}
export interface HeadExchange {
  heads(): Promise<readonly { readonly database: string; readonly note: string }[]>
  onHead(listener: () => void): () => void
  received(peer: PeerId, database: string, note: string, readTile: unknown): void
}
export interface PeerStatus {
  readonly id: string
  readonly name?: string
  readonly site?: string
  readonly connected: boolean
  readonly address?: string
  readonly rttMs?: number
  readonly holds?: number
  readonly receivedBytes?: number
  readonly blamed?: string
}

/** A mesh of one: stands in until the mesh itself is wired. */
export class MeshNode implements Peers, AsyncDisposable {
  readonly peerId = 'none'
  static async start(_components: unknown, _init: unknown): Promise<MeshNode> {
    return new MeshNode()
  }
  addresses(): readonly string[] {
    return []
  }
  meshId(): string | undefined {
    return undefined
  }
  site(): string | undefined {
    return undefined
  }
  peers(): readonly PeerStatus[] {
    return []
  }
  async invite(_options: unknown): Promise<string> {
    throw new Error('inviting is not wired yet')
  }
  async join(_ticket: string): Promise<void> {
    throw new Error('joining is not wired yet')
  }
  async whenConnected(_options: unknown): Promise<void> {}
  async fetchTile(..._tile: unknown[]): Promise<Uint8Array | undefined> {
    return undefined
  }
  isAlone(): boolean {
    return true
  }
  async *findRecords(): AsyncGenerator<ModuleRecord> {}
  async *findVersions(): AsyncGenerator<{ peer: PeerId; versions: readonly Version[] }> {}
  holders(): readonly [] {
    return []
  }
  async *findHolders(): AsyncGenerator<never> {}
  async fetchZip(): Promise<never> {
    throw new Error('there are no peers')
  }
  blame(): void {}
  async [Symbol.asyncDispose](): Promise<void> {}
}

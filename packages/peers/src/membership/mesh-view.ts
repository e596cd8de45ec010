/** What a node knows of its mesh beside the chain that is shown to it; see Ledger. */
export interface MeshView {
  /** The mesh's root keys, the first one first; the last one counts. */
  readonly roots: readonly Uint8Array[]
  /** Whether every rotation after the root at `index` took the peer along, as far as that is known. */
  isKept(peer: Uint8Array, index: number): boolean
  /** Whether a peer was revoked, and by whom. */
  revocation(peer: Uint8Array): 'by-root' | 'by-administrator' | undefined
  /** When an invite was closed, milliseconds since 1970: who was not counter-signed by then is out. */
  closedMs(serial: Uint8Array): number | undefined
  /** Whether an invite's uses are spent: who is not counter-signed is out. */
  isSpent(serial: Uint8Array): boolean
  /** When a peer left the membership that it had by an invite. */
  leftMs(peer: Uint8Array, serial: Uint8Array): number | undefined
  /** The key that a peer has now, and since when. */
  successor(peer: Uint8Array): { readonly next: Uint8Array; readonly atMs: number } | undefined
}

/** Knows nothing but the mesh's first root. */
export function bareView(root: Uint8Array): MeshView {
  return {
    roots: [root],
    isKept: () => true,
    revocation: () => undefined,
    closedMs: () => undefined,
    isSpent: () => false,
    leftMs: () => undefined,
    successor: () => undefined,
  }
}

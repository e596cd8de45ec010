import { maxListedRefusals } from '../limits.ts'
import type { BundleError, BundleFault } from './faults.ts'
import { type BundleItem, nameOf } from './inventory.ts'

/** What of a bundle is counted together. */
export type PartKind = 'tree' | 'record' | 'mod' | 'info' | 'zip'

/** How many of a kind came in, and how many were there already. */
export interface PartCount {
  added: number
  present: number
}

/** Something of a bundle that was not taken. */
export interface Refusal {
  readonly name: string
  readonly fault: BundleFault
  readonly reason: string
}

/** What became of a bundle, as far as it was read. */
export class ImportReport {
  readonly counts: Readonly<Record<PartKind, PartCount>> = {
    tree: { added: 0, present: 0 },
    record: { added: 0, present: 0 },
    mod: { added: 0, present: 0 },
    info: { added: 0, present: 0 },
    zip: { added: 0, present: 0 },
  }
  /** Bytes of zips that came in. */
  addedBytes = 0
  /** The first of them; `refusedCount` counts all. */
  readonly refused: Refusal[] = []
  refusedCount = 0
  /** Our tree, when the bundle's could not be shown to continue it. */
  treeGap: { readonly own: number; readonly bundle: number } | undefined

  count(item: BundleItem, outcome: keyof PartCount): void {
    this.counts[partOf(item)][outcome]++
    if (item.kind === 'zip' && outcome === 'added') this.addedBytes += item.size
  }

  refuse(item: BundleItem, { code: fault, message: reason }: BundleError): void {
    this.refusedCount++
    if (this.refused.length < maxListedRefusals) {
      this.refused.push({ name: nameOf(item), fault, reason })
    }
  }
}

function partOf({ kind }: BundleItem): PartKind {
  return kind === 'head' || kind === 'tile' || kind === 'leaf' ? 'tree' : kind
}

import { createHash } from 'node:crypto'
import type { HeldZip, OwnerAnswer, OwnerQuestion, RecordProof } from '@modmesh/fill'
import { type ModuleVersion, parseZipDigest, type ZipHash } from '@modmesh/module'
import type { PeerShelf, SiteFetcher } from '@modmesh/peers'
import { joinMember } from './joined-member.ts'

/** What a lying member says of one module version. */
export interface Lie {
  readonly module: ModuleVersion
  /** Under which its inventory claims the zip, and gives it. */
  readonly zipHash: ZipHash
  readonly body: LyingBody
  readonly info?: Uint8Array
  readonly mod?: Uint8Array
  readonly record?: RecordProof
}

/** The bytes that are sent, and what the header before them claims; by default the truth. */
export interface LyingBody {
  readonly bytes: Uint8Array
  readonly declaredLength?: number
  readonly declaredDigest?: string
}

/** A member in good standing that speaks all our protocols as they are meant, and lies in them. */
export interface LyingMember extends AsyncDisposable {
  readonly peerId: string
  /** How often its bytes were asked for. */
  bodiesAsked(): number
  /** How often it was asked as the owner of a key. */
  ownerAsked(): number
}

/** Starts one in this process; it joins with a ticket. */
export async function startLyingMember(
  ticket: string,
  lie: Lie,
  /** What it says as the owner of a key; without it, it does not offer to be one. */
  owns?: (question: OwnerQuestion) => OwnerAnswer,
): Promise<LyingMember> {
  const shelf = new LyingShelf(lie)
  let ownerAsked = 0
  const fetcher: SiteFetcher | undefined = owns && {
    canFetch: () => true,
    canRelay: () => true,
    answer: async (question) => {
      ownerAsked += 1
      return owns(question)
    },
    part: async () => undefined,
    notice: () => ({ bytes: 0 }),
  }
  const member = await joinMember(ticket, { shelf, fetcher })
  return {
    peerId: member.node.peerId,
    bodiesAsked: () => shelf.bodiesAsked,
    ownerAsked: () => ownerAsked,
    [Symbol.asyncDispose]: () => member[Symbol.asyncDispose](),
  }
}

class LyingShelf implements PeerShelf {
  bodiesAsked = 0
  readonly #lie: Lie

  constructor(lie: Lie) {
    this.#lie = lie
  }

  async *contents(): AsyncGenerator<{ module: ModuleVersion; zipHash: ZipHash }> {
    yield this.#lie
  }

  onAdded(): () => void {
    return () => {}
  }

  async findContent(zipHash: ZipHash): Promise<HeldZip | undefined> {
    const { module, body } = this.#lie
    if (zipHash !== this.#lie.zipHash) return undefined
    this.bodiesAsked += 1
    const digest = body.declaredDigest ?? createHash('sha256').update(body.bytes).digest('hex')
    return {
      module,
      zipHash,
      zipDigest: parseZipDigest(digest),
      size: body.declaredLength ?? body.bytes.length,
      proof: { kind: 'go-sum' },
      async *read({ start, end } = { start: 0, end: body.bytes.length }) {
        for (let at = start; at < end; at += 1 << 18) {
          yield body.bytes.subarray(at, Math.min(end, at + (1 << 18)))
        }
      },
    }
  }

  async *mods(): AsyncGenerator<ModuleVersion> {}

  async record(module: ModuleVersion): ReturnType<PeerShelf['record']> {
    const { info, mod, record } = this.#lie
    const { path, version } = this.#lie.module
    if (module.path !== path || module.version !== version) return undefined
    return { module, info, mod, record, holdsZip: true }
  }

  async versions(): Promise<readonly ModuleVersion['version'][]> {
    return [this.#lie.module.version]
  }

  async tile(): Promise<undefined> {
    return undefined
  }
}

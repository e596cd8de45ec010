import { isEqual } from './bytes.ts'
import type { Chain, Member } from './chain.ts'
import { encodeChain, parseChain } from './chain.ts'
import { DurableValue, ForgetfulStore } from './durable-value.ts'
import { keyBytes, publicKeyOf } from './ed25519.ts'
import { MembershipStateError, NotAMemberError } from './errors.ts'
import { judge, toMember } from './judge.ts'
import type { LedgerOutcome } from './ledger.ts'
import { Ledger } from './ledger.ts'
import { maxSignerDepth } from './limits.ts'
import type { MembershipState, NextKey } from './membership-state.ts'
import { decodeState, encodeState } from './membership-state.ts'
import type { MembershipStore } from './membership-store.ts'
import { seedOfPrivateKey } from './peer-key.ts'
import { peerBytes, peerText } from './peer-text.ts'
import type { Proof } from './proof.ts'
import { depthOf, extendRoots, lastOf, proveChain } from './proof.ts'
import { decodeRoster, Roster } from './roster.ts'
import type { Authority } from './signing.ts'

/** Where a membership is kept; what is absent does not outlive the process. */
export interface MembershipStores {
  readonly store: MembershipStore
  /** Revocations and changes of keys. */
  readonly ledger?: MembershipStore | undefined
  /** Members that were seen. */
  readonly roster?: MembershipStore | undefined
}

/** Who this node is, before any mesh. */
export interface MembershipInit {
  /** Our libp2p peer id in text form. */
  readonly peerId: string
  /** Protobuf of its Ed25519 key. Without it this node signs nothing but claims and, with the root key, invites. */
  readonly privateKey?: Uint8Array | undefined
  /** Shown to other members; the peer id's end by default. */
  readonly name?: string | undefined
  /** The site of this host unless a ticket names one. */
  readonly site?: string | undefined
  /** Milliseconds since 1970; the machine's clock by default. */
  readonly nowMs?: (() => number) | undefined
}

/** What this node is in its mesh. */
export interface Standing {
  readonly state: MembershipState
  readonly chain: Chain
  readonly proof: Proof
  readonly self: Member
}

/** What the parts of a membership share: the state, its files and its listeners. */
export class MembershipCore {
  readonly init: MembershipInit
  readonly peer: Uint8Array
  readonly roster: Roster = new Roster()
  standing: Standing | undefined
  ledger: Ledger | undefined
  /** Why others refuse us, as far as we know ourselves. */
  refusal: NotAMemberError | undefined
  /** Whether that is for good: else somebody may still have a better chain for us. */
  isOut = false
  readonly #store: MembershipStore
  readonly #stores: { readonly ledger: MembershipStore; readonly roster: MembershipStore }
  readonly #ledgerFile: DurableValue
  readonly #rosterFile: DurableValue
  readonly #listeners = new Set<() => void>()
  readonly #ledgerListeners = new Set<() => void>()
  #queue: Promise<unknown> = Promise.resolve()

  constructor(stores: MembershipStores, init: MembershipInit) {
    const { store, ledger = new ForgetfulStore(), roster = new ForgetfulStore() } = stores
    this.init = init
    this.peer = peerBytes(init.peerId)
    this.#store = store
    this.#stores = { ledger, roster }
    this.#ledgerFile = new DurableValue(ledger, () => this.#ledgerBytes())
    this.#rosterFile = new DurableValue(roster, () => this.roster.encode())
  }

  /** Reads what is stored. Throws MembershipStateError. */
  async restore(): Promise<void> {
    const bytes = await this.#store.read()
    const state = bytes && decodeState(bytes)
    if (state === undefined) return
    await this.#restoreLedger(state)
    const isNextKey = state.next !== undefined && this.#isOurs(state.next.chain)
    if (state.next !== undefined && isNextKey) await this.#changeKey(state, state.next)
    else this.#stand(this.#check(this.#withCurrentSeed(state)))
    await this.#restoreRoster()
  }

  nowMs(): number {
    return (this.init.nowMs ?? Date.now)()
  }

  /** What this node calls itself. */
  get name(): string {
    return this.init.name ?? this.init.peerId.slice(-8)
  }

  /** The node's own key, to sign with. */
  identitySeed(): Uint8Array | undefined {
    const { privateKey } = this.init
    return privateKey && seedOfPrivateKey(privateKey)
  }

  /** The seed of the root key that counts now, on nodes that hold it. */
  rootSeed(): Uint8Array | undefined {
    const { rootSeed, nextRootSeed } = this.standing?.state ?? {}
    const current = this.ledger?.roots.at(-1)
    if (current === undefined) return undefined
    // The second one after a change that was cut, once the record of it is known.
    return [rootSeed, nextRootSeed].find(
      (seed) => seed !== undefined && isEqual(publicKeyOf(seed), current),
    )
  }

  /** How this node signs what administrators and counter-signers sign; undefined when it cannot. */
  authority(): Authority | undefined {
    const root = this.rootSeed()
    if (root !== undefined) return { kind: 'root', seed: root }
    const seed = this.identitySeed()
    const chain = this.standing?.state.chain
    // Who is provisional itself would pass on what may end tomorrow.
    if (seed === undefined || chain === undefined) return undefined
    const proof = this.standing?.proof
    if (proof?.admission === undefined || depthOf(proof) >= maxSignerDepth) return undefined
    return { kind: 'member', seed, chain }
  }

  /** Takes on a new state: durable first. */
  async adopt(state: MembershipState): Promise<void> {
    const standing = this.#check(state)
    await this.#store.write(encodeState(state))
    this.#stand(standing)
    for (const listener of this.#listeners) listener()
  }

  /** Becomes a lone node. */
  async forget(): Promise<void> {
    await this.#store.write(encodeState(undefined))
    this.standing = undefined
    this.ledger = undefined
    this.refusal = undefined
    this.isOut = false
    this.roster.clear()
    await Promise.all([this.#ledgerFile.save(), this.#rosterFile.save()])
    for (const listener of this.#listeners) listener()
  }

  /** Keeps a record; durable, and told to listeners, when it resolves. Throws what Ledger.add throws. */
  async addRecord(bytes: Uint8Array): Promise<LedgerOutcome> {
    const outcome = this.ledger?.add(bytes) ?? 'known'
    if (outcome !== 'added') return outcome
    this.#judgeSelf()
    // Who is out is cut before the disk has answered.
    for (const listener of this.#ledgerListeners) listener()
    await this.#ledgerFile.save()
    return outcome
  }

  /** Reads a chain that we made as a member. Throws NotAMemberError when it proves nothing of that peer. */
  member(chain: Chain, peerId: string): Member {
    const bytes = encodeChain(chain)
    const proof = proveChain(parseChain(bytes), this.#rootsOf(chain))
    if (isEqual(lastOf(proof.peers), peerBytes(peerId))) return toMember(peerId, proof, bytes)
    throw new NotAMemberError('wrong-peer', 'the chain is of another peer')
  }

  saveRoster(): Promise<void> {
    return this.#rosterFile.save()
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  onLedger(listener: () => void): () => void {
    this.#ledgerListeners.add(listener)
    return () => void this.#ledgerListeners.delete(listener)
  }

  /** Runs one change at a time: two first invites at once must not make two roots. */
  exclusive<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(change)
    this.#queue = result.catch(() => {
      // The caller has the rejection; the next change starts all the same.
    })
    return result
  }

  #stand(standing: Standing): void {
    const { root } = standing.chain
    const known = this.ledger?.roots[0]
    if (this.ledger === undefined || known === undefined || !isEqual(known, root)) {
      this.ledger = new Ledger(root)
    }
    // A chain may know of changes of the root before their records arrive.
    this.ledger.follow(standing.chain.rotations ?? [])
    this.standing = standing
    this.#judgeSelf()
  }

  #judgeSelf(): void {
    const { standing, ledger } = this
    this.refusal = undefined
    this.isOut = false
    if (standing === undefined || ledger === undefined) return
    try {
      // Of times only the clock decides; see isMember.
      judge(standing.proof, ledger, standing.proof.invite.from)
    } catch (error) {
      if (!(error instanceof NotAMemberError)) throw error
      this.refusal = error
      const { peers } = standing.proof
      this.isOut =
        ledger.successor(this.peer) !== undefined ||
        peers.some((peer) => ledger.revocation(peer) !== undefined)
    }
  }

  #check(state: MembershipState): Standing {
    return valid(() => {
      const chain = parseChain(state.chain)
      const proof = proveChain(chain, this.#rootsOf(chain))
      if (!isEqual(lastOf(proof.peers), this.peer)) {
        throw new MembershipStateError('the stored membership belongs to another identity')
      }
      this.#checkSeed(state, chain)
      const self = toMember(this.init.peerId, proof, state.chain)
      return { state, chain, proof, self }
    })
  }

  /** Our own mesh's root keys, or the one root of a mesh that we are about to join. */
  #rootsOf({ root }: Chain): readonly Uint8Array[] {
    const known = this.ledger?.roots ?? []
    return known[0] !== undefined && isEqual(known[0], root) ? known : [root]
  }

  #checkSeed({ rootSeed }: MembershipState, chain: Chain): void {
    if (rootSeed === undefined) return
    const key = publicKeyOf(rootSeed)
    const roots = extendRoots(this.#rootsOf(chain), chain.rotations ?? [])
    if (roots.some((root) => isEqual(root, key))) return
    throw new MembershipStateError('the stored root key is not that of the mesh')
  }

  /** Ends a change of the root that was cut: the record decides whether it took place. */
  #withCurrentSeed(state: MembershipState): MembershipState {
    const { nextRootSeed, ...rest } = state
    if (nextRootSeed === undefined) return state
    const last = this.ledger?.roots.at(-1)
    const took = last !== undefined && isEqual(publicKeyOf(nextRootSeed), last)
    // Others may have the record though our disk has not: then it comes back from them.
    return took ? { ...rest, rootSeed: nextRootSeed } : state
  }

  async #restoreLedger(state: MembershipState): Promise<void> {
    const bytes = await this.#stores.ledger.read()
    const { root, rotations = [] } = valid(() => parseChain(state.chain))
    const ledger = bytes === undefined ? new Ledger(root) : Ledger.decode(bytes, root)
    valid(() => ledger.follow(rotations))
    this.ledger = ledger
  }

  #isOurs(chain: Uint8Array): boolean {
    const proof = valid(() => proveChain(parseChain(chain), this.ledger?.roots ?? []))
    return isEqual(lastOf(proof.peers), this.peer)
  }

  async #changeKey(state: MembershipState, next: NextKey): Promise<void> {
    await this.adopt({ ...this.#withCurrentSeed(state), chain: next.chain, next: undefined })
    await this.addRecord(next.record)
  }

  async #restoreRoster(): Promise<void> {
    const bytes = await this.#stores.roster.read()
    const { ledger } = this
    if (bytes === undefined || bytes.byteLength === 0 || ledger === undefined) return
    for (const stored of decodeRoster(bytes)) {
      try {
        const proof = proveChain(parseChain(stored.chain), ledger.roots)
        const member = toMember(peerText(stored.peer), proof, stored.chain)
        this.roster.note(member, stored.peer, { ...stored, nowMs: stored.lastSeenMs })
      } catch (error) {
        // Of another mesh, from before this node left it.
        if (!(error instanceof NotAMemberError)) throw error
      }
    }
  }

  #ledgerBytes(): Uint8Array {
    return (this.ledger ?? new Ledger(new Uint8Array(keyBytes))).encode()
  }
}

/** What is stored was checked when it was written: a fault in it is damage. */
function valid<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (cause instanceof MembershipStateError) throw cause
    throw new MembershipStateError('the stored membership is not valid', { cause })
  }
}

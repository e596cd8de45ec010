import { isEqual, sha256 } from './bytes.ts'
import { isPlainText } from './canonical-cbor.ts'
import type { Chain, Member } from './chain.ts'
import { defaultSite, encodeChain, parseChain } from './chain.ts'
import { newSeed, publicKeyOf } from './ed25519.ts'
import { NotAllowedError, NotAMemberError, OtherMeshError } from './errors.ts'
import { judge } from './judge.ts'
import { keepList } from './kept-peers.ts'
import { Ledger } from './ledger.ts'
import { formatRecord } from './ledger-record.ts'
import { maxReasonBytes, maxRotations } from './limits.ts'
import type { MembershipCore, Standing } from './membership-core.ts'
import { meshIdOf } from './mesh-id.ts'
import { peerBytes, peerText } from './peer-text.ts'
import { proveChain } from './proof.ts'
import { adminRole, admitRole, mayRevoke } from './roles.ts'
import { formatRootKey, parseRootKey } from './root-key-text.ts'
import type { Authority } from './signing.ts'
import { counterSign, foundingChain } from './signing.ts'
import { revocations, rotations } from './statement.ts'

/** What `revoke` did. */
export interface Revoked {
  /** Peer id of the member that is out, or undefined when only an invite was closed. */
  readonly peer: string | undefined
  /** Hex serial of the invite that is closed to new keys. */
  readonly invite: string | undefined
}

/** What is revoked: a peer id in text form, an invite's serial in hex, or both. */
export interface RevokeTarget {
  readonly peer?: string | undefined
  readonly invite?: string | undefined
  readonly why?: string | undefined
}

/** What administrators do (design section 5, Identity and membership). */
export class Administration {
  readonly #core: MembershipCore

  constructor(core: MembershipCore) {
    this.#core = core
  }

  /** Whether this node holds the root key that counts now. */
  holdsRoot(): boolean {
    return this.#core.rootSeed() !== undefined
  }

  /** Throws NotAllowedError on a node that may not revoke. */
  checkMayRevoke(): void {
    this.#authority()
  }

  /** Ends what a power cut interrupted. */
  async resume(): Promise<void> {
    if (this.holdsRoot()) await this.#repeatRevocations()
  }

  /** Whether this node may revoke. */
  mayRevoke(): boolean {
    const { standing, refusal } = this.#core
    if (this.holdsRoot()) return true
    return standing !== undefined && refusal === undefined && mayRevoke(standing.self.roles)
  }

  /**
   * Ends a member and closes its invite to new keys, or closes an invite. Durable when it resolves.
   * Throws NotAllowedError.
   */
  revoke(target: RevokeTarget): Promise<Revoked> {
    return this.#core.exclusive(async () => {
      const by = this.#authority()
      const peer = target.peer === undefined ? undefined : peerBytes(target.peer)
      if (peer !== undefined) this.#checkMayEnd(peer, target.peer ?? '', by)
      const { roster } = this.#core
      const serial = target.invite ?? roster.get(target.peer ?? '')?.member.invite
      const at = this.#closingMs(serial, target.peer)
      const invite = serial === undefined ? undefined : fromHex(serial)
      await this.#resign(target.peer, by)
      await this.#sayRevoked({ at, peer, invite, why: reasonOf(target.why) }, by)
      return { peer: target.peer, invite: serial }
    })
  }

  /** Prints the root key, to be kept in a safe place. Throws NotAllowedError without one. */
  exportRoot(): string {
    const { root, seed } = this.#root()
    return formatRootKey({ root, seed, rotations: this.#core.ledger?.headers ?? [] })
  }

  /**
   * Takes a root key: a member of its mesh becomes an administrator who holds it, a lone node becomes
   * the first node of that mesh again. Throws InvalidRootKeyError, OtherMeshError, NotAllowedError.
   */
  importRoot(text: string): Promise<void> {
    return this.#core.exclusive(async () => {
      const key = parseRootKey(text)
      const { standing, ledger } = this.#core
      if (standing === undefined || ledger === undefined) return await this.#restoreMesh(key)
      if (!isEqual(standing.chain.root, key.root)) {
        throw new OtherMeshError(
          `this node belongs to mesh ${meshIdOf(standing.chain.root)}, the key is of ${meshIdOf(key.root)}`,
        )
      }
      ledger.follow(key.rotations)
      const last = ledger.roots.at(-1)
      if (last === undefined || !isEqual(publicKeyOf(key.seed), last)) {
        throw new NotAllowedError('the root key of this mesh was changed since; use the new one')
      }
      const chain = this.#ownChain(standing, key.seed)
      await this.#core.adopt({ ...standing.state, chain: encodeChain(chain), rootSeed: key.seed })
    })
  }

  /**
   * Makes a member an administrator: it may invite, counter-sign and revoke. It hears of it when it
   * meets us. Throws NotAllowedError.
   */
  grant(peerId: string): Promise<Member> {
    return this.#core.exclusive(async () => {
      const { seed } = this.#root()
      const { roster, ledger } = this.#core
      const known = roster.get(peerId)
      if (known === undefined || ledger === undefined) {
        throw new NotAllowedError('this node has never met that member; it must connect first')
      }
      const chain = parseChain(known.member.chain)
      const proof = proveChain(chain, ledger.roots)
      const roles = [...new Set([...proof.roles, adminRole, admitRole])]
      const atMs = proof.admission?.at ?? known.firstSeenMs
      const by: Authority = { kind: 'root', seed }
      const granted = counterSign(chain, proof, by, { atMs, roles, rotations: ledger.headers })
      const member = this.#core.member(granted, peerId)
      roster.note(member, known.peer, { nowMs: known.lastSeenMs })
      await this.#core.saveRoster()
      return member
    })
  }

  /**
   * Changes the root key. Who was counter-signed and is known here stays; every invite that is out
   * ends. Returns how many members were taken along. Throws NotAllowedError.
   */
  rotateRoot(): Promise<{ readonly kept: number }> {
    return this.#core.exclusive(async () => {
      const { seed: oldSeed } = this.#root()
      const { standing, ledger } = this.#core
      if (standing === undefined || ledger === undefined) throw noRoot()
      if (ledger.headers.length >= maxRotations) {
        throw new NotAllowedError(`the root key was changed ${maxRotations} times; make a new mesh`)
      }
      const peers = this.#peersToKeep()
      const seed = standing.state.nextRootSeed ?? newSeed()
      // Before the record: who passes that on without the new key has lost the mesh.
      await this.#core.adopt({ ...standing.state, nextRootSeed: seed })
      await this.#core.addRecord(this.#rotation(oldSeed, seed, peers))
      const chain = encodeChain(this.#ownChain(standing, seed))
      const { nextRootSeed: _used, ...state } = standing.state
      await this.#core.adopt({ ...state, chain, rootSeed: seed })
      await this.#repeatRevocations()
      return { kept: peers.length }
    })
  }

  #authority(): Authority {
    const by = this.#core.authority()
    if (by !== undefined && this.mayRevoke()) return by
    throw new NotAllowedError(
      'this node may not revoke; do it on one that holds the root key or was made administrator',
    )
  }

  #root(): { readonly root: Uint8Array; readonly seed: Uint8Array } {
    const seed = this.#core.rootSeed()
    const root = this.#core.standing?.chain.root
    if (seed === undefined || root === undefined) throw noRoot()
    return { root, seed }
  }

  #checkMayEnd(peer: Uint8Array, peerId: string, by: Authority): void {
    if (isEqual(peer, this.#core.peer)) {
      throw new NotAllowedError('this node cannot revoke itself; to leave: modmesh leave')
    }
    const roles = this.#core.roster.get(peerId)?.member.roles ?? []
    if (by.kind === 'root' || !roles.includes(adminRole)) return
    throw new NotAllowedError('only a node that holds the root key can revoke an administrator')
  }

  /** Not before the last good counter-signature by the invite, however our clock stands to the signer's. */
  #closingMs(invite: string | undefined, revoked: string | undefined): number {
    const others = this.#core.roster
      .all()
      .filter(({ member }) => member.invite === invite && member.peerId !== revoked)
    const dates = others.map(({ member }) => member.admittedMs ?? 0)
    return Math.max(this.#core.nowMs(), this.#core.standing?.self.admittedMs ?? 0, ...dates)
  }

  async #sayRevoked(
    body: Omit<Parameters<typeof revocations.sign>[0], 'v'>,
    by: Authority,
  ): Promise<void> {
    const signed = revocations.sign({ v: 1, ...body }, by.seed)
    const extra = by.kind === 'member' ? { by: by.chain } : {}
    const outcome = await this.#core.addRecord(formatRecord('revoke', signed, extra))
    if (outcome !== 'full') return
    throw new NotAllowedError(
      'there are as many revocations as a mesh can hold; change the root key: modmesh root rotate',
    )
  }

  /** Whom the revoked member vouched for, we vouch for now: its word ends with it. */
  async #resign(revoked: string | undefined, by: Authority): Promise<void> {
    const { roster, ledger } = this.#core
    if (revoked === undefined || ledger === undefined) return
    const out = peerBytes(revoked)
    for (const { member, peer, lastSeenMs } of roster.all()) {
      const chain = parseChain(member.chain)
      const proof = proveChain(chain, ledger.roots)
      const { voucher, admission } = proof
      if (voucher.kind !== 'member' || admission === undefined) continue
      if (!voucher.proof.peers.some((one) => isEqual(one, out))) continue
      const given = { atMs: admission.at, rotations: ledger.headers }
      const signed = this.#core.member(counterSign(chain, proof, by, given), member.peerId)
      roster.note(signed, peer, { nowMs: lastSeenMs, counts: () => false })
    }
    await this.#core.saveRoster()
  }

  #peersToKeep(): readonly Uint8Array[] {
    const { roster, ledger, peer } = this.#core
    const kept = roster.all().filter(({ member }) => {
      if (ledger === undefined || member.rank === 0) return false
      try {
        judge(proveChain(parseChain(member.chain), ledger.roots), ledger, this.#core.nowMs())
        return true
      } catch (error) {
        if (error instanceof NotAMemberError) return false
        throw error
      }
    })
    return [peer, ...kept.map((one) => one.peer)]
  }

  #rotation(oldSeed: Uint8Array, seed: Uint8Array, peers: readonly Uint8Array[]): Uint8Array {
    const keep = keepList(peers)
    const seq = this.#core.ledger?.roots.length ?? 1
    const [old, next] = [publicKeyOf(oldSeed), publicKeyOf(seed)]
    const at = this.#core.nowMs()
    const signed = rotations.sign({ v: 1, seq, old, next, at, keep: sha256(keep) }, oldSeed)
    return formatRecord('rotate', signed, { keep })
  }

  /**
   * Says under the root of today what was revoked before: a former root's word is no news to anybody
   * any more. What administrators said of one another had no effect, and gets none.
   */
  async #repeatRevocations(): Promise<void> {
    const { ledger, roster } = this.#core
    const seed = this.#core.rootSeed()
    if (seed === undefined) return
    for (const { body, by } of ledger?.unconfirmed() ?? []) {
      const known = body.peer && roster.get(peerText(body.peer))
      if (by === 'member' && known?.member.roles.includes(adminRole)) continue
      await this.#sayRevoked(body, { kind: 'root', seed })
    }
  }

  /** Our own membership under a root key that we hold: an administrator's. */
  #ownChain({ chain, proof }: Standing, seed: Uint8Array): Chain {
    const roles = [...new Set([...proof.roles, adminRole, admitRole])]
    const atMs = proof.admission?.at ?? Math.max(this.#core.nowMs(), proof.invite.from)
    const rotated = this.#core.ledger?.headers ?? []
    return counterSign(chain, proof, { kind: 'root', seed }, { atMs, roles, rotations: rotated })
  }

  async #restoreMesh(key: ReturnType<typeof parseRootKey>): Promise<void> {
    const { init, peer, name } = this.#core
    const claim = { peer, name, site: init.site ?? defaultSite, at: this.#core.nowMs() }
    const root = { first: key.root, seed: key.seed }
    const chain = encodeChain(foundingChain(root, claim, key.rotations))
    this.#core.ledger = new Ledger(key.root)
    await this.#core.adopt({ chain, rootSeed: key.seed, addresses: [] })
  }
}

function noRoot(): NotAllowedError {
  return new NotAllowedError('this node does not hold the root key of its mesh')
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'))
}

/** Keeps as much of a reason as a record has room for. */
function reasonOf(why: string | undefined): string | undefined {
  return why !== undefined && isPlainText(why, maxReasonBytes) ? why : undefined
}

import type { Clock, HeldZip, PeerId } from '@modmesh/fill'
import type { ZipHash } from '@modmesh/module'
import type { CID } from 'multiformats/cid'
import type { ControlHub } from '../control/control-hub.ts'
import type { Finder } from '../find/finder.ts'
import type { Membership } from '../membership/membership.ts'
import type { MembershipStore } from '../membership/membership-store.ts'
import type { Network } from '../network/network.ts'
import type { PrivateShelf } from '../peer-shelf.ts'
import { PrivateDesk } from './private-desk.ts'
import { PrivateMembers } from './private-members.ts'
import { type NameAnnouncer, PrivateNames } from './private-names.ts'
import { PrivateStanding } from './private-standing.ts'
import { SecretKeeper } from './secret-keeper.ts'

/** What the private side needs of the node; some of it comes after it. */
interface PrivateCore {
  readonly membership: Membership
  readonly network: Pick<Network, 'member'>
  readonly hub: Pick<ControlHub, 'links'>
  readonly finder: Finder
  isAlone(): boolean
  blame(peer: PeerId, reason: string): void
  readonly failed: (error: unknown) => void
}

/** What the private side works with. */
export interface PrivateSideComponents {
  readonly core: PrivateCore
  readonly clock: Clock
  /** Absent: this node shares no private modules. */
  readonly shelf: PrivateShelf | undefined
  readonly secretStore: MembershipStore | undefined
  readonly announcer: () => NameAnnouncer | undefined
}

/** All that has to do with private modules: who may have them, what is given, asked and announced of them. */
export class PrivateSide {
  readonly desk: PrivateDesk
  readonly members: PrivateMembers
  /** Absent where private modules are not shared. */
  readonly names: PrivateNames | undefined
  readonly #standing: PrivateStanding
  readonly #shelf: PrivateShelf | undefined

  constructor(
    components: PrivateSideComponents,
    init: {
      /** Protobuf of this node's key, to sign with. */
      readonly privateKey: Uint8Array
    },
  ) {
    const { core, shelf, secretStore, ...parts } = components
    const { membership, failed } = core
    const member = (peer: PeerId) => core.network.member(peer)
    const standing = new PrivateStanding({ membership, member }, init)
    const keeper = new SecretKeeper({ standing, store: secretStore })
    this.#standing = standing
    this.#shelf = shelf
    this.desk = new PrivateDesk({ shelf, standing })
    const isOn = shelf !== undefined
    this.members = new PrivateMembers({ core, standing, keeper }, { isOn })
    const links = () => core.hub.links()
    const told = { ...parts, membership, failed, links, standing, keeper }
    this.names = shelf && new PrivateNames({ ...told, shelf })
  }

  /** A private zip for a peer that may have it; for others not even a look at what there is. */
  async findContent(peer: PeerId, zipHash: ZipHash): Promise<HeldZip | undefined> {
    if (this.#shelf === undefined || !this.#standing.isAllowed()) return undefined
    if (!this.#standing.isAllowedPeer(peer)) return undefined
    return await this.#shelf.findContent(zipHash)
  }

  /** Keys of private paths to announce. */
  async *keys(): AsyncGenerator<CID> {
    if (this.names !== undefined) yield* this.names.keys()
  }
}

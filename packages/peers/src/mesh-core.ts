import type { Clock, PeerId } from '@modmesh/fill'
import { Bodies } from './body/bodies.ts'
import { type BodyTimes, bodyTimes } from './body/limits.ts'
import { Allowance } from './control/allowance.ts'
import { ControlHub, type HubOwner } from './control/control-hub.ts'
import { Gossip } from './control/gossip.ts'
import { type ControlTimes, controlTimes } from './control/limits.ts'
import type { PeerLink } from './control/peer-link.ts'
import { DeltaClient } from './delta/delta-client.ts'
import { DhtService } from './dht/dht-service.ts'
import { Finder } from './find/finder.ts'
import { Missing } from './find/missing.ts'
import { SiteOwner } from './find/site-owner.ts'
import { SiteTile } from './find/site-tile.ts'
import { Holdings } from './holdings.ts'
import { failureLimits } from './limits.ts'
import { machineClock } from './machine-clock.ts'
import type { Membership } from './membership/membership.ts'
import type { MeshComponents, MeshEvent, MeshInit } from './mesh-init.ts'
import { MeshLinks } from './mesh-links.ts'
import { Connections } from './network/connections.ts'
import type { Network } from './network/network.ts'
import { PeerScores } from './peer-score.ts'
import { PrivateSide } from './private/private-side.ts'
import { ProvenSites } from './proven-sites.ts'
import { SiteLinks } from './sites/site-links.ts'
import { SiteTraffic } from './sites/site-traffic.ts'
import { Takes } from './takes.ts'

/** What a core works with. */
export interface CoreComponents extends Omit<MeshComponents, 'membership' | 'ledger' | 'roster'> {
  readonly network: Network
  readonly membership: Membership
}

/** The parts of a mesh node and how they hear of each other. */
export class MeshCore {
  readonly network: Network
  readonly membership: Membership
  readonly holdings: Holdings
  readonly scores: PeerScores
  readonly missing: Missing
  readonly hub: ControlHub
  readonly finder: Finder
  readonly siteOwner: SiteOwner
  readonly bodies: Bodies
  readonly siteTile: SiteTile
  readonly takes: Takes
  readonly deltas: DeltaClient
  readonly gossip: Gossip
  readonly connections: Connections
  /** Wall clock of first contact of each connected peer. */
  readonly since: Map<PeerId, number> = new Map()
  readonly sites: ProvenSites
  readonly traffic: SiteTraffic
  readonly siteLinks: SiteLinks
  /** Private modules, of which members with the role alone hear. */
  readonly privates: PrivateSide
  readonly #components: CoreComponents
  readonly #init: MeshInit
  readonly #clock: Clock
  readonly #times: ControlTimes & BodyTimes
  readonly #log: (event: MeshEvent) => void
  readonly #failures: Allowance
  readonly #links: MeshLinks

  /** Throws InvalidPeerAddressError for a configured address of no use. */
  constructor(components: CoreComponents, init: MeshInit) {
    const { network, membership, clock = machineClock, log = () => {} } = components
    const { libp2p } = network
    const times = { ...controlTimes, ...bodyTimes, ...init.times }
    this.network = network
    this.membership = membership
    this.#components = components
    this.#init = init
    this.#clock = clock
    this.#times = times
    this.#log = log
    this.#failures = new Allowance({ clock }, failureLimits)
    this.scores = new PeerScores({ clock })
    this.missing = new Missing({ clock })
    this.sites = new ProvenSites({ network, membership })
    const { isSame: isSameSite } = this.sites
    this.hub = new ControlHub({ libp2p, clock, owner: this.#hubOwner() }, { times })
    const { hub, scores } = this
    const self = network.peerId
    const { siteBytes: file } = components
    this.traffic = new SiteTraffic({ clock, file, failed: this.failed })
    this.siteLinks = this.#newSiteLinks()
    this.siteOwner = new SiteOwner({ hub, scores, isSameSite }, { self, times })
    this.siteTile = new SiteTile({ hub, siteOwner: this.siteOwner, clock })
    this.gossip = this.#newGossip()
    const dht = this.#dht()
    this.holdings = this.#newHoldings(dht)
    this.privates = this.#newPrivates()
    this.#links = this.#newLinks()
    this.bodies = this.#newBodies()
    this.takes = this.#newTakes(this.bodies.client)
    this.deltas = this.#newDeltas()
    this.finder = this.#newFinder(dht)
    this.connections = this.#newConnections()
  }

  /** Begins to serve, to connect and to announce. */
  async start(): Promise<void> {
    this.holdings.start()
    this.gossip.start()
    await this.traffic.start()
    this.siteLinks.start()
    await this.privates.names?.start()
    await this.bodies.start()
    await this.hub.start()
    this.holdings.announce()
    await this.connections.start()
  }

  async stop(): Promise<void> {
    this.holdings.stop()
    this.gossip.stop()
    this.privates.names?.stop()
    await this.connections.stop()
    await this.hub.stop()
    await this.bodies.stop()
    this.siteLinks.stop()
    await this.traffic.stop()
    await this.network.stop()
    await this.membership.admitting.save().catch(this.failed)
  }

  /** Control messages sent since the start, by kind. */
  get sent(): ReadonlyMap<string, number> {
    return this.#links.sent
  }

  /** Avoids a peer and says why. */
  blame(peer: PeerId, reason: string): void {
    if (this.scores.blame(peer, reason)) this.#log({ kind: 'peer-blamed', peer, reason })
  }

  /** No connection: a network that is known to be gone is asked nothing. */
  isAlone(): boolean {
    return this.network.libp2p.getConnections().length === 0
  }

  /** Tells the log of an exception of ours; not of each, when a peer's queries meet a broken disk. */
  readonly failed = (error: unknown): void => {
    if (this.#failures.take(1)) this.#log({ kind: 'failed', error })
  }

  #newSiteLinks(): SiteLinks {
    const { hub, sites, traffic, network } = this
    const cut = (peer: PeerId, reason: Error) => network.cut(peer, reason)
    const rules = this.#init.siteRules
    return new SiteLinks({ hub, sites, traffic, clock: this.#clock, cut }, { rules })
  }

  #hubOwner(): HubOwner {
    return {
      newLink: (peer, wire) => this.#links.make(peer, wire),
      isRefused: (peer) => this.scores.isCut(peer),
      up: (link) => this.#up(link),
      down: (link) => this.#down(link),
      fault: (peer, reason) => {
        this.scores.cut(peer)
        this.blame(peer, reason)
      },
      otherVersion: (peer, versions) => this.#log({ kind: 'peer-version', peer, versions }),
      failed: this.failed,
    }
  }

  #newBodies(): Bodies {
    const { network, privates, siteLinks } = this
    const { own } = this.holdings
    const { shelf, fetcher } = this.#components
    const owner = {
      isSameSite: this.sites.isSame,
      links: siteLinks,
      given: (peer: PeerId, bytes: number) => {
        this.scores.gave(peer, bytes)
        siteLinks.gave(peer, bytes)
      },
      fault: (peer: PeerId, reason: string) => this.blame(peer, reason),
    }
    return new Bodies(
      { network, shelf, privates, own, fetcher, clock: this.#clock, owner },
      { times: this.#times, uploads: this.#init.uploads },
    )
  }

  #newDeltas(): DeltaClient {
    const { hub, scores, siteLinks } = this
    const { libp2p } = this.network
    const { isForeign } = this.sites
    const notGiven: Takes['notGiven'] = (...holder) => this.takes.notGiven(...holder)
    const parts = { libp2p, clock: this.#clock, hub, scores, siteLinks, isForeign, notGiven }
    return new DeltaClient(parts, { times: this.#times })
  }

  #newLinks(): MeshLinks {
    const { gossip, membership, failed, privates } = this
    const { own } = this.holdings
    const { shelf, fetcher } = this.#components
    const told = { gossip, names: privates.names }
    const desks = { shelf, fetcher, own, privateDesk: privates.desk }
    const isOpenTo = (peer: PeerId) => this.siteLinks.isOpenTo(peer)
    const asked = { ...desks, membership, isSameSite: this.sites.isSame, isOpenTo }
    const { inventory } = this.#init
    return new MeshLinks(
      { ...told, ...asked, clock: this.#clock, failed },
      { times: this.#times, inventory },
    )
  }

  #newPrivates(): PrivateSide {
    const { privateShelf: shelf, nameSecret: secretStore } = this.#components
    const parts = { core: this, clock: this.#clock, announcer: () => this.holdings.announcer }
    return new PrivateSide({ ...parts, shelf, secretStore }, this.#init)
  }

  #up(link: PeerLink): void {
    const { peer } = link
    this.connections.linked(peer)
    this.missing.forget(peer)
    if (this.siteLinks.isForbidden(peer)) {
      this.network.cut(peer, new Error('the link to its site is forbidden'))
      return
    }
    if (!this.since.has(peer)) {
      this.since.set(peer, this.#clock.wallMs())
      this.#log({
        kind: 'peer-up',
        peer,
        name: this.sites.nameOf(peer),
        site: this.sites.siteOf(peer),
      })
    }
    this.#links.greet(link)
  }

  #down({ peer }: PeerLink): void {
    this.since.delete(peer)
    this.#links.left(peer)
    this.#log({ kind: 'peer-down', peer })
  }

  #newGossip(): Gossip {
    const { network, membership, hub, sites, failed } = this
    const siteOf = (peer: PeerId) => sites.siteOf(peer)
    const learn: Connections['learn'] = (member) => this.connections.learn(member)
    const { heads } = this.#components
    const parts = { network, membership, heads, hub, clock: this.#clock, siteOf, learn, failed }
    return new Gossip(parts, { isOpen: this.#init.connect === 'all' })
  }

  #newConnections(): Connections {
    const { network, membership, siteLinks, bodies } = this
    const { isForeign } = this.sites
    const isForbidden = (peer: PeerId) => isForeign(peer) && siteLinks.isForbidden(peer)
    const isTransferring = (peer: PeerId) => bodies.isMoving(peer)
    const whom = { isForeign, isForbidden, isTransferring }
    return new Connections({ network, membership, ...whom, log: this.#log }, this.#init)
  }

  #dht(): DhtService | undefined {
    const { dht, peerId: self } = this.network
    return (
      dht &&
      new DhtService(
        {
          dht,
          isAlone: () => this.isAlone(),
          isClosed: () => this.gossip.isClosed(),
          announcedMs: (multihash) => this.network.announcedMs(multihash),
        },
        { self },
      )
    )
  }

  #newHoldings(target: DhtService | undefined): Holdings {
    const { shelf } = this.#components
    const furtherKeys = () => this.privates.keys()
    return new Holdings({ shelf, clock: this.#clock, target, furtherKeys, failed: this.failed })
  }

  #newFinder(dht: DhtService | undefined): Finder {
    return new Finder({
      clock: this.#clock,
      libp2p: this.network.libp2p,
      hub: this.hub,
      dht,
      scores: this.scores,
      missing: this.missing,
      sites: this.sites,
      siteLinks: this.siteLinks,
      isClosed: () => this.gossip.isClosed(),
      failed: this.failed,
    })
  }

  #newTakes(bodies: Bodies['client']): Takes {
    const { scores, siteLinks, missing, hub } = this
    const blame = (peer: PeerId, reason: string) => this.blame(peer, reason)
    return new Takes({ bodies, scores, siteLinks, missing, hub, blame })
  }
}

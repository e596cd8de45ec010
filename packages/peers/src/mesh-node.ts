import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import {
  type ByteSink,
  type Holder,
  type ModuleRecord,
  type OwnerAnswer,
  type OwnerQuestion,
  type PeerDeltas,
  PeerError,
  type PeerId,
  type Peers,
  type SiteLink,
  type ZipBytes,
  type ZipFetchOptions,
  type ZipRange,
} from '@modmesh/fill'
import {
  formatModuleVersion,
  type ModulePath,
  type ModuleVersion,
  type Version,
  type ZipHash,
} from '@modmesh/module'
import type { UploadReport } from './body/uploads.ts'
import { type CatalogueItem, readCatalogue } from './control/catalogue.ts'
import { contentKey } from './control/content-set.ts'
import { controlVersions } from './control/message.ts'
import { isProtocolFault } from './errors.ts'
import type { InviteOptions } from './membership/invite-options.ts'
import { Membership } from './membership/membership.ts'
import { MeshCore } from './mesh-core.ts'
import type { MeshComponents, MeshInit, PeerStatus } from './mesh-init.ts'
import { MeshMembers } from './mesh-members.ts'
import { createNetwork } from './network/create-network.ts'
import type { PeerTarget } from './network/dial-target.ts'
import { defaultMaxConnections, passingConnections } from './network/limits.ts'
import type { ShelfItem } from './peer-shelf.ts'
import type { PrivateMembers } from './private/private-members.ts'
import type { SiteStatus } from './sites/site-links.ts'
import type { SiteRule } from './sites/site-terms.ts'
import { type SiteTest, testSite } from './sites/site-test.ts'

/**
 * A node of the mesh: alone until it invites or joins, then connected to members, telling them what
 * it holds and giving it to them. Hints and bytes, never trust.
 */
export class MeshNode implements Peers, AsyncDisposable {
  /** Who belongs to the mesh, and what administrators do about it. */
  readonly members: MeshMembers
  /** Private modules: asked of members that may have them, and published to them. */
  readonly privates: PrivateMembers
  readonly #core: MeshCore
  #stopping: Promise<void> | undefined

  private constructor(core: MeshCore) {
    this.#core = core
    const { membership, network, hub, gossip } = core
    this.members = new MeshMembers({ membership, network, hub, trust: gossip.trust })
    this.privates = core.privates.members
  }

  /**
   * Starts a node. Throws what Membership.open, createNetwork and DialLoop throw: a damaged
   * membership, an unusable address, site or name, a port or folder that cannot be had.
   */
  static async start(components: MeshComponents, init: MeshInit): Promise<MeshNode> {
    const peerId = peerIdFromPrivateKey(privateKeyFromProtobuf(init.privateKey)).toString()
    const { name, site } = init
    const { membership: store, ledger, roster } = components
    const { privateKey } = init
    const who = { peerId, privateKey, name, site }
    const membership = await Membership.open({ store, ledger, roster }, who)
    // A hard limit: at it nobody can ask us anything. ConnectionKeeper keeps the configured one.
    const maxConnections = (init.maxConnections ?? defaultMaxConnections) + passingConnections
    const network = await createNetwork(
      { membership, log: components.log },
      { ...init, maxConnections },
    )
    let core: MeshCore | undefined
    try {
      core = new MeshCore({ ...components, membership, network }, init)
      await core.start()
      return new MeshNode(core)
    } catch (error) {
      await (core ?? network).stop()
      throw error
    }
  }

  /** Transfers of changes from members that can. */
  get deltas(): PeerDeltas {
    return this.#core.deltas
  }

  get peerId(): PeerId {
    return this.#core.network.peerId
  }

  /** Names our site: the ticket's, else the configured one. */
  get site(): string {
    return this.#core.membership.site()
  }

  /** Multiaddrs with peer id that other hosts can use. */
  addresses(): string[] {
    return this.#core.network.addresses()
  }

  /** Names the mesh, or undefined on a lone node. */
  meshId(): string | undefined {
    return this.#core.membership.meshId()
  }

  /** Connected members, others that were blamed since the start, and those who speak another protocol version. */
  peers(): readonly PeerStatus[] {
    const { hub, scores } = this.#core
    const connected = hub.links().map((link) => link.peer)
    const others = [...scores.blamed(), ...hub.otherVersions.keys()]
    return [...new Set([...connected, ...others])].map((peer) => this.#status(peer))
  }

  /** Addresses and members that the node wants connections to, and how that stands. */
  targets(): readonly PeerTarget[] {
    return this.#core.connections.targets()
  }

  /** Control messages sent since the start, by kind. */
  messagesSent(): ReadonlyMap<string, number> {
    return this.#core.sent
  }

  /** What is given to members now, and the limits in force. */
  uploads(): UploadReport {
    return this.#core.bodies.uploads.report()
  }

  /**
   * Makes a ticket; on a lone node this makes the mesh first, without restart. Throws
   * NotAllowedError on a node that joined, InvalidMembershipOptionError for unusable options.
   */
  invite(options: InviteOptions = {}): Promise<string> {
    return this.#core.membership.invite(options, this.addresses())
  }

  /** Joins the mesh of a ticket and begins to connect. Throws InvalidTicketError, OtherMeshError. */
  async join(ticket: string): Promise<void> {
    await this.#core.membership.join(ticket)
  }

  /** Tells the mesh of a content that can be served now; the shelf's `onAdded` does so by itself. */
  announce(item: ShelfItem): void {
    this.#core.holdings.added(item)
  }

  /** Tells connected members that a content cannot be served any more; DHT records run out. */
  withdraw(zipHash: ZipHash): void {
    this.#core.holdings.removed(zipHash)
  }

  isAlone(): boolean {
    return this.#core.isAlone()
  }

  sites(): readonly SiteLink[] {
    return this.#core.siteLinks.links()
  }

  siteOf(peer: PeerId): SiteLink | undefined {
    return this.#core.siteLinks.linkOf(peer)
  }

  /** Links to other sites: what may cross them, what did, and what they are measured to carry. */
  siteLinks(): readonly SiteStatus[] {
    return this.#core.siteLinks.status()
  }

  /**
   * Reads all that can be had of a connected member. Throws PeerError when it is not connected, goes away,
   * breaks the rules, or is of an older version.
   */
  async *catalogue(
    peer: PeerId,
    options: { readonly signal: AbortSignal },
  ): AsyncGenerator<CatalogueItem> {
    const link = this.#core.hub.link(peer)
    if (link === undefined) throw new PeerError(peer, 'is not connected', { fault: 'unable' })
    try {
      yield* readCatalogue(link, options)
    } catch (cause) {
      options.signal.throwIfAborted()
      const fault = isProtocolFault(cause) ? 'protocol' : 'unable'
      const message = cause instanceof Error ? cause.message : 'gave no catalogue'
      throw new PeerError(peer, message, { cause, fault })
    }
  }

  /** Connected members of our site that fetch for others, in no order. */
  siteMembers(): readonly PeerId[] {
    return this.#core.siteOwner.members()
  }

  /** Whether a connected member says that it holds a content. */
  holds(peer: PeerId, zipHash: ZipHash): boolean {
    return this.#core.hub.link(peer)?.inventory.has(contentKey(zipHash)) ?? false
  }

  /** Whether modules may come from a peer now. */
  isOpenTo(peer: PeerId): boolean {
    return this.#core.siteLinks.isOpenTo(peer)
  }

  /** Whether more than what somebody asks for may come from a peer: its site's link is not metered. */
  isFreeTo(peer: PeerId): boolean {
    return this.#core.siteLinks.isFreeTo(peer)
  }

  /** Measures the link to a site, with so many bytes at most; undefined when no member of it is connected. */
  async testSite(
    site: string,
    options: { readonly bytes: number; readonly signal: AbortSignal },
  ): Promise<SiteTest | undefined> {
    const { bodies, siteLinks: links } = this.#core
    const link = links.nearest(site)
    return link && (await testSite({ bodies: bodies.client, links, link }, options))
  }

  /** Sets what may cross the link to a site, from now on. */
  limitSite(site: string, rules: readonly SiteRule[] | undefined): void {
    this.#core.siteLinks.limit(site, rules)
  }

  holders(zipHash: ZipHash): readonly Holder[] {
    return this.#core.finder.holders(zipHash)
  }

  findHolders(zipHash: ZipHash, options: { readonly signal: AbortSignal }): AsyncIterable<Holder> {
    return this.#core.finder.findHolders(zipHash, options)
  }

  /** Asks those without inventory which of many contents they have, with few messages: `findHolders` knows it then, for a while. */
  async askAhead(
    zipHashes: readonly ZipHash[],
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    await this.#core.finder.askAhead(zipHashes, options)
  }

  findRecords(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<ModuleRecord> {
    return this.#core.finder.findRecords(module, options)
  }

  findVersions(
    path: ModulePath,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<{ readonly peer: PeerId; readonly versions: readonly Version[] }> {
    return this.#core.finder.findVersions(path, options)
  }

  /** A tile that a connected peer has; undefined when none has. Unverified. */
  fetchTile(
    database: string,
    path: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    return this.#core.finder.fetchTile(database, path, options)
  }

  /**
   * A tile from the member that fetches it for our site; undefined when that is us, or it gave none.
   * Unverified.
   */
  fetchSiteTile(
    database: string,
    path: string,
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    return this.#core.siteTile.fetch(database, path, options)
  }

  fetchZip(
    peer: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    options: ZipFetchOptions,
  ): Promise<ZipBytes> {
    return this.#core.takes.zip(peer, zipHash, sink, options)
  }

  fetchRange(
    peer: PeerId,
    zipHash: ZipHash,
    sink: ByteSink,
    range: ZipRange,
    options: Omit<ZipFetchOptions, 'resume'>,
  ): Promise<void> {
    return this.#core.takes.range(peer, zipHash, sink, range, options)
  }

  owner(key: string, options: Parameters<Peers['owner']>[1]): PeerId | undefined {
    return this.#core.siteOwner.owner(key, options)
  }

  askOwner(
    peer: PeerId,
    question: OwnerQuestion,
    options: Parameters<Peers['askOwner']>[2],
  ): Promise<OwnerAnswer> {
    return this.#core.siteOwner.ask(peer, question, options)
  }

  fetchComing(
    peer: PeerId,
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal },
  ): Promise<void> {
    return this.#core.takes.coming(peer, module, sink, options)
  }

  blame(peer: PeerId, what: { readonly module: ModuleVersion; readonly reason: string }): void {
    this.#core.blame(peer, `${formatModuleVersion(what.module)}: ${what.reason}`)
  }

  /** Leaves the network; resolves when everything is closed. */
  stop(): Promise<void> {
    this.#stopping ??= this.#core.stop()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #status(peer: PeerId): PeerStatus {
    const { hub, scores, since } = this.#core
    const link = hub.link(peer)
    const theirs = hub.otherVersions.get(peer)
    return {
      peer,
      name: this.#core.sites.nameOf(peer),
      site: this.#core.sites.siteOf(peer),
      isConnected: link !== undefined,
      rttMs: link?.session.rttMs,
      connectedSinceMs: since.get(peer),
      inventorySize: link?.knowsInventory === true ? link.inventory.size : undefined,
      otherVersions: theirs && { theirs, ours: controlVersions },
      ...scores.conduct(peer),
    }
  }
}

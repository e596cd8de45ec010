/**
 * The mesh: membership and its gate, control streams and inventories, bodies, the DHT. The only
 * package that knows libp2p. Invariant: what comes from here is hints and bytes, never trust, and
 * nothing that a peer sends can do more than end its own session.
 * Wire formats: docs/protocols/control.md and body.md.
 */
export type { LimitsInForce, UploadCaps, UploadLimits } from './body/upload-limits.ts'
export type { UploadReport, UploadUse } from './body/uploads.ts'
export type { CatalogueItem } from './control/catalogue.ts'
export { machineClock } from './machine-clock.ts'
export {
  InvalidMembershipOptionError,
  InvalidRootKeyError,
  InvalidTicketError,
  MembershipStateError,
  NotAllowedError,
  NotAMemberError,
  OtherMeshError,
  UnknownMemberError,
} from './membership/errors.ts'
export type { InviteOptions } from './membership/invite-options.ts'
export type { MembershipStore } from './membership/membership-store.ts'
export type { MeshComponents, MeshEvent, MeshInit, PeerStatus } from './mesh-init.ts'
export type { MemberStatus, MeshMembers } from './mesh-members.ts'
export { MeshNode } from './mesh-node.ts'
export type { PeerTarget } from './network/dial-target.ts'
export {
  InvalidPeerAddressError,
  PeerDatastoreLockedError,
  PeerListenError,
} from './network/errors.ts'
export type { NetworkEvent } from './network/network-event.ts'
export type { Blame } from './peer-score.ts'
export type {
  HeadExchange,
  PeerShelf,
  PrivateRecord,
  PrivateShelf,
  ReadTile,
  ShelfItem,
  SiteFetcher,
} from './peer-shelf.ts'

export type { PrivateMembers, PrivateSharing } from './private/private-members.ts'
export type { Publishing } from './private/publication.ts'

export type { SiteStatus } from './sites/site-links.ts'
export type { DayWindow, SiteMode, SiteRule, SiteRules, SiteTerms } from './sites/site-terms.ts'
export type { SiteTest } from './sites/site-test.ts'

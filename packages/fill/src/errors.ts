import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { maxGraphModules } from './limits.ts'
import type { PeerId } from './peers.ts'
import type { Published } from './private-modules.ts'

/** Nobody who could be asked has it: the only error that becomes 404. */
export class ModuleNotFoundError extends Error {
  readonly code = 'MODULE_NOT_FOUND'
  /** False when there was nobody to ask: with the next peer or option it may be there. */
  readonly wasAsked: boolean
  constructor(what: string, options?: ErrorOptions & { readonly wasAsked?: boolean }) {
    super(what, options)
    this.name = 'ModuleNotFoundError'
    this.wasAsked = options?.wasAsked ?? true
  }
}

/** Upstream answered with an error, or not at all. */
export class UpstreamUnavailableError extends Error {
  readonly code = 'UPSTREAM_UNAVAILABLE'
  /** Set when the trouble was time. */
  readonly timedOut: boolean
  constructor(message: string, options?: ErrorOptions & { readonly timedOut?: boolean }) {
    super(message, options)
    this.name = 'UpstreamUnavailableError'
    this.timedOut = options?.timedOut ?? false
  }
}

/** Nothing is configured to be asked; no network was touched. */
export class OfflineError extends Error {
  readonly code = 'OFFLINE'
  constructor(message: string) {
    super(message)
    this.name = 'OfflineError'
  }
}

/** No hash is known that the bytes could be checked against. */
export class NoProofError extends Error {
  readonly code = 'NO_PROOF'
  constructor(module: ModuleVersion, options?: ErrorOptions) {
    super(`${formatModuleVersion(module)}: no verified checksum is to be had`, options)
    this.name = 'NoProofError'
  }
}

/** Bytes that hash to something else than expected. */
export class HashMismatchError extends Error {
  readonly code = 'HASH_MISMATCH'
  readonly module: ModuleVersion
  readonly expected: string
  readonly actual: string
  constructor(
    module: ModuleVersion,
    hashes: { readonly expected: string; readonly actual: string },
  ) {
    super(`${formatModuleVersion(module)}: expected ${hashes.expected}, got ${hashes.actual}`)
    this.name = 'HashMismatchError'
    this.module = module
    this.expected = hashes.expected
    this.actual = hashes.actual
  }
}

/** A version that nobody can prove is not what it was when it was first seen. Nothing of it is kept. */
export class HashChangedError extends Error {
  readonly code = 'HASH_CHANGED'
  readonly module: ModuleVersion
  readonly part: 'zip' | 'mod'
  readonly first: string
  readonly seen: string
  /** Who sent it, never with credentials. */
  readonly from: string
  constructor(
    module: ModuleVersion,
    change: {
      readonly part: 'zip' | 'mod'
      readonly first: string
      readonly seen: string
      readonly from: string
    },
  ) {
    const { part, first, seen, from } = change
    const name = formatModuleVersion(module)
    const what = part === 'zip' ? 'its zip' : 'its go.mod'
    super(
      `${name}: ${what} changed since it was first seen\nfirst ${first}\nnow   ${seen} from ${from}\nto take the new one: modmesh accept ${name}`,
    )
    this.name = 'HashChangedError'
    this.module = module
    this.part = part
    this.first = first
    this.seen = seen
    this.from = from
  }
}

/** Publishers of the mesh say different things of a private version: only people can tell who is right. */
export class PublishersDisagreeError extends Error {
  readonly code = 'PUBLISHERS_DISAGREE'
  constructor(module: ModuleVersion, statements: readonly [Published, Published]) {
    const lines = statements.map(
      ({ zip, mod, publisher: { name, peer } }) => `${name} (${peer}): zip ${zip}, go.mod ${mod}`,
    )
    super([`${formatModuleVersion(module)}: two publishers disagree about it`, ...lines].join('\n'))
    this.name = 'PublishersDisagreeError'
  }
}

/** A peer did not deliver. `fault` says whether it broke the protocol, gives too many others something now, or was merely unable. */
export class PeerError extends Error {
  readonly code = 'PEER'
  readonly peer: PeerId
  readonly fault: 'protocol' | 'busy' | 'unable'
  constructor(
    peer: PeerId,
    message: string,
    options: ErrorOptions & { readonly fault: PeerError['fault'] },
  ) {
    super(message, options)
    this.name = 'PeerError'
    this.peer = peer
    this.fault = options.fault
  }
}

/** A remote store did not deliver. `fault` says whether what it sent is at fault, or it was merely unable. */
export class RemoteError extends Error {
  readonly code = 'REMOTE'
  readonly fault: 'wrong' | 'unable'
  constructor(message: string, options: ErrorOptions & { readonly fault: 'wrong' | 'unable' }) {
    super(message, options)
    this.name = 'RemoteError'
    this.fault = options.fault
  }
}

/** Upstream sent something that does not verify. Nothing of it is kept; the next request asks anew. */
export class UpstreamRefusedError extends Error {
  readonly code = 'UPSTREAM_REFUSED'
  readonly module: ModuleVersion
  /** The hash or version that was due. */
  readonly expected: string
  /** The hash or version seen, or why there is none. */
  readonly actual: string
  /** The upstream's origin, never with credentials. */
  readonly from: string
  constructor(
    module: ModuleVersion,
    seen: { readonly expected: string; readonly actual: string; readonly from: string },
    options?: ErrorOptions,
  ) {
    super(
      `${formatModuleVersion(module)}: refused what ${seen.from} sent\nexpected ${seen.expected}\ngot ${seen.actual}`,
      options,
    )
    this.name = 'UpstreamRefusedError'
    this.module = module
    this.expected = seen.expected
    this.actual = seen.actual
    this.from = seen.from
  }
}

/** The fill is being closed: asked too late, or cut off by the end of the process. */
export class FillClosedError extends Error {
  readonly code = 'FILL_CLOSED'
  constructor() {
    super('this node is shutting down')
    this.name = 'FillClosedError'
  }
}

/** A module graph does not end: somebody who publishes a module wants it so. */
export class GraphTooLargeError extends Error {
  readonly code = 'GRAPH_TOO_LARGE'
  constructor() {
    super(`the module graph has more than ${maxGraphModules} module versions`)
    this.name = 'GraphTooLargeError'
  }
}

/** The value of a `catch` as an error. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error), { cause: error })
}

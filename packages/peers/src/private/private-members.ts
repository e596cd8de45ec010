import type { PeerId, PrivateMesh, Published, PublishedRecord } from '@modmesh/fill'
import { type ModulePath, type ModuleVersion, privateNameKey, type Version } from '@modmesh/module'
import type { Reply } from '../control/message.ts'
import { type Finder, parseVersions } from '../find/finder.ts'
import type { Around } from '../find/surroundings.ts'
import { NotAMemberError } from '../membership/errors.ts'
import { StatementRefusedError } from './errors.ts'
import type { PrivateStanding } from './private-standing.ts'
import { checkPublication, type Publishing, signPublication } from './publication.ts'
import type { SecretKeeper } from './secret-keeper.ts'

/** What `status` shows of the sharing of private modules. */
export interface PrivateSharing {
  readonly isOn: boolean
  /** Whether this node may have private modules of others, and say what they are. */
  readonly isAllowed: boolean
  readonly isPublisher: boolean
}

/** What asking and telling members rests on. */
export interface PrivateMembersComponents {
  readonly standing: PrivateStanding
  readonly keeper: SecretKeeper
  readonly core: {
    /** Comes after it. */
    readonly finder: Pick<Finder, 'askAround'>
    isAlone(): boolean
    /** Avoids a peer that brought a forged statement. */
    blame(peer: PeerId, reason: string): void
  }
}

/** The members that may have private modules: asked for those, and told what they are. */
export class PrivateMembers implements PrivateMesh {
  readonly #parts: PrivateMembersComponents
  readonly #isOn: boolean

  constructor(components: PrivateMembersComponents, init: { readonly isOn: boolean }) {
    this.#parts = components
    this.#isOn = init.isOn
  }

  canAsk(): boolean {
    return this.#isOn && this.#parts.standing.isAllowed() && !this.#parts.core.isAlone()
  }

  /** Whether private modules are shared, and what this node may do about it. */
  sharing(): PrivateSharing {
    const { standing } = this.#parts
    return {
      isOn: this.#isOn,
      isAllowed: standing.isAllowed(),
      isPublisher: standing.isPublisher(),
    }
  }

  /** Throws NotAllowedError, with what to do about it, where this node may not publish. */
  checkMayPublish(): void {
    this.#parts.standing.publisher()
  }

  /**
   * Signs what a private module version is. Throws NotAllowedError without the role publisher, RangeError
   * for names that are too long.
   */
  publish(what: Publishing): Published {
    return signPublication(what, this.#parts.standing.publisher(), this.#parts.standing.nowMs())
  }

  findRecords(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal; readonly onRefused: (reason: string) => void },
  ): AsyncIterable<PublishedRecord> {
    const query = { kind: 'private-query', path: module.path, version: module.version } as const
    const around = this.#around(module.path)
    return this.#parts.core.finder.askAround(around, options, async ({ peer, session }, signal) => {
      const answer = await session.ask<'private-query'>(query, { signal })
      return this.#read(peer, module, answer, options.onRefused)
    })
  }

  findVersions(
    path: ModulePath,
    options: { readonly signal: AbortSignal },
  ): AsyncIterable<{ readonly peer: PeerId; readonly versions: readonly Version[] }> {
    const query = { kind: 'private-query', path } as const
    return this.#parts.core.finder.askAround(this.#around(path), options, async (link, signal) => {
      const answer = await link.session.ask<'private-query'>(query, { signal })
      const versions = parseVersions(answer.versions ?? '')
      return versions.length > 0 ? { peer: link.peer, versions } : undefined
    })
  }

  /** Names are spoken of to members that may know them, and looked up under the secret alone. */
  #around(path: ModulePath): Around {
    const { standing, keeper } = this.#parts
    const secret = keeper.current()?.secret
    return {
      isWanted: (peer) => this.canAsk() && standing.isAllowedPeer(peer),
      key: secret && privateNameKey(path, secret),
    }
  }

  #read(
    peer: PeerId,
    module: ModuleVersion,
    { statement, info, mod, holdsZip = false }: Reply<'private-query'>,
    onRefused: (reason: string) => void,
  ): PublishedRecord | undefined {
    const against = this.#parts.standing.against()
    if (statement === undefined || against === undefined) return undefined
    try {
      const published = checkPublication(statement, module, against)
      return { peer, module, info, mod, holdsZip, published }
    } catch (error) {
      const isRefused = error instanceof StatementRefusedError || error instanceof NotAMemberError
      if (!isRefused) throw error
      onRefused(error.message)
      if (isForged(error)) this.#parts.core.blame(peer, `brought a statement: ${error.message}`)
      return undefined
    }
  }
}

/** Whoever keeps a statement has checked it: clocks and news of revocations alone may differ. */
function isForged(error: StatementRefusedError | NotAMemberError): boolean {
  if (error instanceof StatementRefusedError) return error.problem !== 'from-the-future'
  return error.reason === 'bad-signature' || error.reason === 'malformed'
}

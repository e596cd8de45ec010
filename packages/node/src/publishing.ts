import type {
  FirstHash,
  FirstHashes,
  HeldZip,
  ModuleFill,
  Published,
  ZipStore,
} from '@modmesh/fill'
import {
  formatModuleVersion,
  hashMod,
  type ModHash,
  type ModulePath,
  type ModuleVersion,
} from '@modmesh/module'
import type { PrivateMembers } from '@modmesh/peers'
import { CommandError, errorCode, errorText } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import { toIso } from './iso-time.ts'
import { readFirst, type SharedPrivateShelf } from './private-shelf.ts'

/** A version that was signed into the mesh. */
interface PublishedLine {
  readonly module: string
  readonly zip: string
  readonly mod: string
  /** The name and the peer id of who signed: this node. */
  readonly publisher: string
  readonly peer: string
  /** ISO 8601. */
  readonly at: string
}

/** What `publish` did. */
export interface PublishReport {
  readonly published: readonly PublishedLine[]
  readonly failed: readonly { readonly module: string; readonly reason: string }[]
}

/** What publishing works with. */
export interface PublishingComponents {
  readonly store: Pick<ZipStore, 'findZip' | 'findRecord'> & { readonly firstHashes: FirstHashes }
  readonly mesh: {
    readonly peerId: string
    readonly privates: Pick<
      PrivateMembers,
      'sharing' | 'checkMayPublish' | 'publish' | 'findRecords'
    >
  }
  /** Where what was signed is given from; absent where private modules are not shared. */
  readonly shelf: Pick<SharedPrivateShelf, 'added'> | undefined
  /** Comes after it. */
  readonly fill: () => Pick<ModuleFill, 'mod'> | undefined
  readonly log: Record<'warn' | 'info', (fields: object, text: string) => void>
}

/** How long other publishers are asked what they said. Milliseconds. */
const othersMs = 500

/** Signs private versions into the mesh: those that somebody names, and those that this node fetched itself. */
export class Publishing implements AsyncDisposable {
  readonly #parts: PublishingComponents
  readonly #isPrivate: (path: ModulePath) => boolean
  readonly #stop = new AbortController()
  #last: Promise<void> = Promise.resolve()

  constructor(
    components: PublishingComponents,
    init: { readonly isPrivate: (path: ModulePath) => boolean },
  ) {
    this.#parts = components
    this.#isPrivate = init.isPrivate
  }

  /** Signs each of the versions. Throws CommandError where this node may publish none at all. */
  async publish(modules: readonly ModuleVersion[]): Promise<PublishReport> {
    this.#checkMayPublish()
    const published: PublishedLine[] = []
    const failed: PublishReport['failed'][number][] = []
    for (const module of modules) {
      try {
        published.push(lineOf(module, await this.#sign(module)))
      } catch (error) {
        failed.push({ module: formatModuleVersion(module), reason: errorText(error) })
      }
    }
    return { published, failed }
  }

  /** Takes note of a version that came from its origin: a publisher signs it, behind the answer. */
  fetched(module: ModuleVersion): void {
    if (!this.#isPrivate(module.path)) return
    const { isOn, isPublisher } = this.#parts.mesh.privates.sharing()
    if (!isOn || !isPublisher) return
    this.#last = this.#last.then(() => this.#signQuietly(module))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('node stops'))
    await this.#last
  }

  /** Never rejects. */
  async #signQuietly(module: ModuleVersion): Promise<void> {
    const name = formatModuleVersion(module)
    try {
      if (this.#stop.signal.aborted) return
      await this.#sign(module)
      this.#parts.log.info({ module: name }, 'published to the members that may have it')
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#parts.log.warn({ module: name, reason: errorText(error) }, 'was not published')
    }
  }

  #checkMayPublish(): void {
    const { privates } = this.#parts.mesh
    if (!privates.sharing().isOn) {
      throw failure('this node shares no private modules; start it with --share-private on')
    }
    try {
      privates.checkMayPublish()
    } catch (error) {
      if (errorCode(error) !== 'NOT_ALLOWED') throw error
      throw failure(errorText(error), error)
    }
  }

  async #sign(module: ModuleVersion): Promise<Published> {
    if (!this.#isPrivate(module.path)) {
      throw failure('not a private path (--private): the checksum database vouches for it')
    }
    const zip = await this.#parts.store.findZip(module)
    if (zip === undefined) throw failure('not held here; fetch it through this node first')
    const mod = await this.#modHash(module)
    checkFirst(await readFirst(this.#parts.store, module), zip, mod)
    await this.#checkOthers(module, zip, mod)
    const published = this.#parts.mesh.privates.publish({ module, zip: zip.zipHash, mod })
    await this.#keep(module, published)
    this.#parts.shelf?.added(module)
    return published
  }

  async #modHash(module: ModuleVersion): Promise<ModHash> {
    const held = (await this.#parts.store.findRecord(module))?.mod?.hash
    if (held !== undefined) return held
    const answer = await this.#parts.fill()?.mod(module, { signal: this.#stop.signal })
    if (answer === undefined) throw failure('the node is starting; try again in a moment')
    return hashMod(answer.value)
  }

  /** Two publishers that say different things would leave the others with nothing. */
  async #checkOthers(module: ModuleVersion, zip: HeldZip, mod: ModHash): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(othersMs)])
    const found = this.#parts.mesh.privates.findRecords(module, { signal, onRefused: () => {} })
    const own = this.#parts.mesh.peerId
    for await (const { published } of found) {
      const { publisher } = published
      const isSame = published.zip === zip.zipHash && published.mod === mod
      if (isSame || publisher.peer === own) continue
      const said = `zip ${published.zip}, go.mod ${published.mod}`
      throw failure(
        `${publisher.name} (${publisher.peer}) has published something else: ${said}; here it is zip ${zip.zipHash}, go.mod ${mod}`,
      )
    }
  }

  async #keep(module: ModuleVersion, { zip, mod, publisher, statement }: Published): Promise<void> {
    await this.#parts.store.firstHashes.update(module, (kept) => {
      if (kept?.changed !== undefined) return kept
      return { ...kept, module, zip, mod, published: { publisher, statement } }
    })
  }
}

/** What is signed must be what was first seen, or it would be refused here. */
function checkFirst(first: FirstHash | undefined, zip: HeldZip, mod: ModHash): void {
  const isSame = (first?.zip ?? zip.zipHash) === zip.zipHash && (first?.mod ?? mod) === mod
  if (first?.changed === undefined && isSame) return
  throw failure('it changed since it was first seen here; settle that first: modmesh accept')
}

function lineOf(module: ModuleVersion, { zip, mod, publisher }: Published): PublishedLine {
  const { name, peer, atMs } = publisher
  const at = toIso(atMs)
  return { module: formatModuleVersion(module), zip, mod, publisher: name, peer, at }
}

function failure(message: string, cause?: unknown): CommandError {
  return new CommandError(message, { exitCode: exitCodes.failed, cause })
}

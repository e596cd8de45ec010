import type { PeerId } from '@modmesh/fill'
import { parseModulePath, parseModuleVersion } from '@modmesh/module'
import { validOrUndefined } from '../control/answer-desk.ts'
import { controlLimits as limits } from '../control/limits.ts'
import type { Ask, Reply } from '../control/message.ts'
import type { PrivateShelf } from '../peer-shelf.ts'
import type { PrivateStanding } from './private-standing.ts'

type Answer = Reply<'private-query'>

/**
 * Answers questions about private modules. Who may not have those is told nothing without a look at what
 * there is: neither the answer nor its time says more.
 */
export class PrivateDesk {
  readonly #shelf: PrivateShelf | undefined
  readonly #standing: PrivateStanding

  constructor(components: {
    /** Absent: this node shares none. */
    readonly shelf: PrivateShelf | undefined
    readonly standing: PrivateStanding
  }) {
    this.#shelf = components.shelf
    this.#standing = components.standing
  }

  /** Gives an answer within the limits of a frame. */
  async answer(peer: PeerId, { path, version }: Ask<'private-query'>): Promise<Answer> {
    const nothing: Answer = { kind: 'private-answer' }
    if (this.#shelf === undefined || !this.#mayKnow(peer)) return nothing
    return version === undefined
      ? await this.#versions(this.#shelf, path)
      : await this.#record(this.#shelf, path, version)
  }

  #mayKnow(peer: PeerId): boolean {
    return this.#standing.isAllowed() && this.#standing.isAllowedPeer(peer)
  }

  async #versions(shelf: PrivateShelf, path: string): Promise<Answer> {
    const valid = validOrUndefined(() => parseModulePath(path))
    const found = valid === undefined ? [] : await shelf.versions(valid)
    let versions = ''
    for (const version of found) {
      if (versions.length + version.length + 1 > limits.versionsBytes) break
      versions += `${version}\n`
    }
    return { kind: 'private-answer', versions }
  }

  async #record(shelf: PrivateShelf, path: string, version: string): Promise<Answer> {
    const module = validOrUndefined(() => parseModuleVersion(path, version))
    const record = module && (await shelf.record(module))
    // Of a mesh that this node has left: members of ours would take us for a liar.
    if (record === undefined || !this.#standing.isOfMesh(record.statement)) {
      return { kind: 'private-answer' }
    }
    const { info, mod, statement, holdsZip } = record
    return {
      kind: 'private-answer',
      holdsZip,
      statement,
      ...(info !== undefined && info.byteLength <= limits.infoBytes && { info }),
      ...(mod !== undefined && mod.byteLength <= limits.modBytes && { mod }),
    }
  }
}

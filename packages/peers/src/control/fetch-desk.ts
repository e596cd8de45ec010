import type { Clock, OwnerAnswer, OwnerQuestion, PeerId } from '@modmesh/fill'
import { parseModulePath, parseModuleVersion } from '@modmesh/module'
import type { SiteFetcher } from '../peer-shelf.ts'
import { recordFields, validOrUndefined } from './answer-desk.ts'
import type { SessionHandlers } from './control-session.ts'
import { controlLimits as limits } from './limits.ts'
import type { Ask, Reply } from './message.ts'

/** Answers members of our site that take us for the owner, and shows that it works while it does. */
export class FetchDesk {
  readonly #fetcher: SiteFetcher | undefined
  readonly #clock: Clock
  readonly #isSameSite: (peer: PeerId) => boolean
  readonly #noticeMs: number

  constructor(
    components: {
      readonly fetcher: SiteFetcher | undefined
      readonly clock: Clock
      readonly isSameSite: (peer: PeerId) => boolean
    },
    init: { readonly noticeMs: number },
  ) {
    this.#fetcher = components.fetcher
    this.#clock = components.clock
    this.#isSameSite = components.isSameSite
    this.#noticeMs = init.noticeMs
  }

  async answer(
    peer: PeerId,
    query: Ask<'fetch-query'>,
    options: Parameters<SessionHandlers['answer']>[1],
  ): Promise<Reply<'fetch-query'>> {
    const fetcher = this.#fetcher
    const question = readQuestion(query)
    const isAble = fetcher !== undefined && (fetcher.canFetch() || fetcher.canRelay())
    if (!isAble || !this.#isSameSite(peer) || question === undefined) {
      return { kind: 'fetch-answer', outcome: 'declined' }
    }
    const working = new AbortController()
    const telling = this.#tell(working.signal, () => {
      const { bytes, moves } = fetcher.notice(question)
      options.tell({ kind: 'fetching', bytes, ...(moves === undefined ? {} : { moves }) })
    })
    try {
      return formatFound(await fetcher.answer(question, { peer, signal: options.signal }))
    } finally {
      working.abort(answered)
      await telling
    }
  }

  /** Tells until the signal aborts. Never rejects. */
  async #tell(signal: AbortSignal, tell: () => void): Promise<void> {
    try {
      for (;;) {
        await this.#clock.sleep(this.#noticeMs, { signal })
        tell()
      }
    } catch (error) {
      if (error !== answered) throw error
    }
  }
}

const answered = new Error('answered')

/** Writes a question; undefined when it cannot be asked over the wire. */
export function formatQuestion(question: OwnerQuestion): Ask<'fetch-query'> {
  const kind = 'fetch-query'
  switch (question.what) {
    case 'list':
    case 'latest':
      return { kind, what: question.what, path: question.path }
    case 'query':
      return { kind, what: question.what, path: question.path, version: question.query }
    default:
      return { kind, what: question.what, ...question.module }
  }
}

/** A name that go would not accept is no question. */
function readQuestion({ what, path, version }: Ask<'fetch-query'>): OwnerQuestion | undefined {
  return validOrUndefined((): OwnerQuestion | undefined => {
    switch (what) {
      case 'list':
      case 'latest':
        return { what, path: parseModulePath(path) }
      case 'query':
        return version === undefined
          ? undefined
          : { what, path: parseModulePath(path), query: version }
      default:
        return version === undefined
          ? undefined
          : { what, module: parseModuleVersion(path, version) }
    }
  })
}

/** Writes an answer within the limits of a frame; what is too long could not be had this way. */
function formatFound(answer: OwnerAnswer): Reply<'fetch-query'> {
  const kind = 'fetch-answer'
  switch (answer.kind) {
    case 'record':
      return { kind, outcome: 'found', ...foundFields(answer) }
    case 'bytes': {
      const { bytes, ageMs } = answer
      if (bytes.length > limits.answerBytes) return { kind, outcome: 'declined' }
      const from = answer.from.slice(0, limits.originLength)
      return { kind, outcome: 'found', bytes, from, ageMs: Math.trunc(ageMs) }
    }
    case 'nothing':
      return { kind, outcome: 'nothing' }
    case 'refused':
      return { kind, outcome: answer.why === 'declined' ? 'declined' : 'failed' }
  }
}

/** Together they must fit into a frame: who asks for a zip can do without a large go.mod. */
function foundFields({
  record,
  zip,
}: Extract<OwnerAnswer, { readonly kind: 'record' }>): Omit<
  Reply<'fetch-query'>,
  'kind' | 'outcome'
> {
  const fields = recordFields(record)
  if (zip === undefined || zip.length > limits.zipBytes) return fields
  const { mod, ...rest } = fields
  const hasRoom = mod !== undefined && mod.length + zip.length <= limits.modBytes
  return hasRoom ? { ...fields, zip } : { ...rest, zip }
}

import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { type DiskStore, type ListedZip, pinCovers } from '@modmesh/store'
import type { AdoptReport } from './adopt/adopt-report.ts'
import { type AdoptTrust, answerAdopt } from './adopt/answer-adopt.ts'
import { type AcceptReport, acceptChanged } from './changed-hashes.ts'
import type { StoreRequest } from './control-socket/requests.ts'
import { errorText } from './errors.ts'
import { toIso } from './iso-time.ts'
import { type PinReport, pin, readPin, unpin } from './pin-answers.ts'
import { type Repair, type VerifyReport, verifyStore } from './verify-store.ts'

/** One zip of `ls`. Times are ISO 8601. */
export interface ZipLine {
  readonly module: string
  readonly bytes: number
  readonly h1: string
  readonly proof: 'checksum-db' | 'go-sum' | 'publisher' | 'upstream'
  /** Who of the mesh vouches for a private module; null where nobody does. */
  readonly publisher: { readonly name: string; readonly peer: string } | null
  readonly committedAt: string
  /** Last read, or committed. */
  readonly usedAt: string
  /** When its bytes were last known to be right. */
  readonly checkedAt: string
  readonly pinned: boolean
}

/** A page of `ls`; `next` is where the next one begins, null at the end. */
export interface ListPage {
  readonly zips: readonly ZipLine[]
  readonly next: string | null
}

/** What `gc` did. Bytes. */
export interface GcReport {
  /** Null when no size is set anywhere. */
  readonly maxBytes: number | null
  /** Nothing was removed: the numbers say what would be, and this what. */
  readonly wouldEvict?: readonly { readonly module: string; readonly bytes: number }[]
  readonly evicted: number
  readonly evictedBytes: number
  readonly zips: number
  readonly zipBytes: number
  readonly pinnedBytes: number
  /** Why the disk removed no more; null when it did what it was told. */
  readonly trouble: string | null
}

/** Lines of one answer: it is made and sent in one piece. */
const maxPageLines = 2_000

/** What a running node adds, and who waits. */
export interface StoreAnswerOptions {
  readonly signal: AbortSignal
  readonly onProgress: (progress: object) => void
  readonly onAccepted?: (module: ModuleVersion) => Promise<void>
  readonly repair?: Repair
  /** Who is believed about the contents of a module cache. */
  readonly trust: (store: DiskStore) => Promise<AdoptTrust>
}

/**
 * Answers what needs the store only: asked by a running node, or by a command that has opened the store itself. A
 * node drops what it remembers of an accepted version.
 */
export async function answerStoreRequest(
  store: DiskStore,
  request: StoreRequest,
  options: StoreAnswerOptions,
): Promise<ListPage | VerifyReport | GcReport | PinReport | AcceptReport | AdoptReport> {
  switch (request.command) {
    case 'ls':
      return await listPage(store, request)
    case 'verify':
      return await verifyStore(store, options)
    case 'gc':
      return await collect(store, request)
    case 'pin':
      return await pin(store, request)
    case 'unpin':
      return await unpin(store, request)
    case 'adopt':
      return await answerAdopt(store, request, { ...options, trust: await options.trust(store) })
    case 'accept':
      return await acceptChanged(store, request.modules, options.onAccepted ?? (async () => {}))
  }
}

async function listPage(
  store: DiskStore,
  request: Extract<StoreRequest, { command: 'ls' }>,
): Promise<ListPage> {
  const publishers = await publishersOf(store)
  const wanted = request.patterns.map(readPin)
  const matching: { readonly name: string; readonly zip: ListedZip }[] = []
  for (const zip of store.list()) {
    const name = formatModuleVersion(zip.module)
    if (request.after !== undefined && name <= request.after) continue
    if (wanted.length > 0 && !wanted.some((each) => pinCovers(each, zip.module))) continue
    matching.push({ name, zip })
  }
  matching.sort((a, b) => (a.name < b.name ? -1 : 1))
  const page = matching.slice(0, maxPageLines)
  const last = page.at(-1)?.name ?? null
  return {
    zips: page.map(({ name, zip }) => zipLine(name, zip, publishers.get(name))),
    next: matching.length > page.length ? last : null,
  }
}

/** Who vouches for which version. */
async function publishersOf(store: DiskStore): Promise<ReadonlyMap<string, ZipLine['publisher']>> {
  const publishers = new Map<string, ZipLine['publisher']>()
  for (const { module, published } of await store.firstHashes.published()) {
    if (published === undefined) continue
    const { name, peer } = published.publisher
    publishers.set(formatModuleVersion(module), { name, peer })
  }
  return publishers
}

function zipLine(
  module: string,
  zip: ListedZip,
  publisher: ZipLine['publisher'] | undefined,
): ZipLine {
  return {
    module,
    bytes: zip.size,
    h1: zip.zipHash,
    proof: zip.proof.kind,
    publisher: publisher ?? null,
    committedAt: toIso(zip.committedMs),
    usedAt: toIso(zip.usedMs),
    checkedAt: toIso(zip.checkedMs),
    pinned: zip.isPinned,
  }
}

async function collect(
  store: DiskStore,
  { maxBytes: asked, dryRun }: Extract<StoreRequest, { command: 'gc' }>,
): Promise<GcReport> {
  const maxBytes = asked ?? store.budget().maxBytes
  const target = maxBytes ?? Number.MAX_SAFE_INTEGER
  if (dryRun === true) {
    const { candidates, ...counts } = store.planShrink(target)
    const wouldEvict = candidates.map(({ module, size }) => {
      return { module: formatModuleVersion(module), bytes: size }
    })
    return { maxBytes: maxBytes ?? null, ...counts, wouldEvict, trouble: null }
  }
  const { failure, ...counts } = await store.shrink(target)
  const trouble = failure === undefined ? null : errorText(failure)
  return { maxBytes: maxBytes ?? null, ...counts, trouble }
}

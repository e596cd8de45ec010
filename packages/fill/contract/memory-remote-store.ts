import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import type { RecordProof } from '../src/checksum-db.ts'
import type { Clock } from '../src/clock.ts'
import { RemoteError } from '../src/errors.ts'
import type { RemoteObject, RemotePart, RemoteStore } from '../src/remote-store.ts'
import type { ByteSink } from '../src/zip-store.ts'
import { untilAborted } from './memory-checksum-db.ts'

/** How a bucket fails, if it does. */
export type RemoteFault =
  | 'none'
  /** Fails at once. */
  | 'down'
  /** Never a first byte. */
  | 'stall'
  /** The same, and it ignores its signal. */
  | 'hang'
  /** A zip stops half way. */
  | 'stall-body'
  /** A zip breaks off half way. */
  | 'cut'
  /** Half a zip, then all of it anew. */
  | 'restart'
  /** The last byte of everything differs. */
  | 'wrong-bytes'

type Content = Uint8Array | RecordProof

/** The objects of a bucket; several nodes may share one. */
export class MemoryBucket {
  readonly objects: Map<string, Content> = new Map()
  fault: RemoteFault = 'none'
  /** Time to any answer, ms. */
  delayMs = 0

  /** Puts an object there, as anybody with write access may. */
  put(module: ModuleVersion, part: Exclude<RemotePart, 'record'>, bytes: Uint8Array): void {
    this.objects.set(keyOf(module, part), bytes)
  }

  /** As `put`. */
  putRecord(module: ModuleVersion, record: RecordProof): void {
    this.objects.set(keyOf(module, 'record'), record)
  }
}

/** A remote store in memory, with the troubles a real one has. */
export class MemoryRemoteStore implements RemoteStore {
  readonly name = 'bucket'
  readonly bucket: MemoryBucket
  /** What was asked, in order. */
  readonly asked: string[] = []
  /** What was written, in order. */
  readonly written: string[] = []
  isWritable = true
  readonly #clock: Clock

  constructor(clock: Clock, bucket: MemoryBucket = new MemoryBucket()) {
    this.#clock = clock
    this.bucket = bucket
  }

  canWrite(): boolean {
    return this.isWritable
  }

  async fetchFile(
    module: ModuleVersion,
    part: 'mod' | 'info',
    options: { readonly signal: AbortSignal },
  ): Promise<Uint8Array | undefined> {
    const found = await this.#find(module, part, options.signal)
    return found instanceof Uint8Array ? this.#bytes(found) : undefined
  }

  async fetchRecord(
    module: ModuleVersion,
    options: { readonly signal: AbortSignal },
  ): Promise<RecordProof | undefined> {
    const found = await this.#find(module, 'record', options.signal)
    if (found === undefined || found instanceof Uint8Array) return undefined
    return this.bucket.fault === 'wrong-bytes' ? { ...found, text: `${found.text}x` } : found
  }

  async fetchZip(
    module: ModuleVersion,
    sink: ByteSink,
    options: { readonly signal: AbortSignal; readonly onReset: () => Promise<void> },
  ): Promise<boolean> {
    const found = await this.#find(module, 'zip', options.signal)
    if (!(found instanceof Uint8Array)) return false
    const zip = this.#bytes(found)
    const half = zip.length >> 1
    await sink.write(zip.subarray(0, half))
    const { fault } = this.bucket
    if (fault === 'stall-body') await untilAborted(options.signal)
    if (fault === 'cut') throw unable('the body was cut')
    if (fault === 'restart') {
      await options.onReset()
      await sink.write(zip.subarray(0, half))
    }
    await sink.write(zip.subarray(half))
    return true
  }

  async write(
    object: RemoteObject,
    options: { readonly signal: AbortSignal; readonly overwrite: boolean },
  ): Promise<'written' | 'exists'> {
    const key = keyOf(object.module, object.part)
    await this.#answerTime(options.signal)
    if (this.bucket.objects.has(key) && !options.overwrite) return 'exists'
    const content = await contentOf(object)
    options.signal.throwIfAborted()
    this.bucket.objects.set(key, content)
    this.written.push(key)
    return 'written'
  }

  async #find(
    module: ModuleVersion,
    part: RemotePart,
    signal: AbortSignal,
  ): Promise<Content | undefined> {
    this.asked.push(keyOf(module, part))
    await this.#answerTime(signal)
    return this.bucket.objects.get(keyOf(module, part))
  }

  #bytes(bytes: Uint8Array): Uint8Array {
    if (this.bucket.fault !== 'wrong-bytes') return bytes
    const last = bytes.length - 1
    return bytes.map((byte, at) => (at === last ? byte ^ 1 : byte))
  }

  async #answerTime(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { fault, delayMs } = this.bucket
    if (fault === 'down') throw unable('the bucket is down')
    if (fault === 'hang') await new Promise(() => {})
    if (fault === 'stall') await untilAborted(signal)
    if (delayMs > 0) await this.#clock.sleep(delayMs, { signal })
  }
}

async function contentOf(object: RemoteObject): Promise<Content> {
  if (object.part === 'record') return object.record
  if (object.part !== 'zip') return object.bytes
  const chunks: Uint8Array[] = []
  for await (const chunk of object.zip.read()) chunks.push(chunk)
  return new Uint8Array(Buffer.concat(chunks))
}

function keyOf(module: ModuleVersion, part: RemotePart): string {
  return `${part} ${formatModuleVersion(module)}`
}

function unable(message: string): RemoteError {
  return new RemoteError(message, { fault: 'unable' })
}

import { readFile, rename, writeFile } from 'node:fs/promises'
import type { FirstSeen } from '@modmesh/fill'
import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import * as v from 'valibot'
import { AppendLog } from './append-log.ts'
import { errorCode } from './errors.ts'

/** Versions remembered, 100 bytes each. One that is forgotten counts as just seen: too new rather than too old. */
const maxEntries = 100_000

const entrySchema = v.object({ module: v.string(), ms: v.number() })

/** When this node first saw proven module versions for which nobody who is believed has a time: a file of lines. */
export class FirstSeenFile implements FirstSeen, AsyncDisposable {
  readonly #log: AppendLog
  readonly #seen: Map<string, number>

  /** Reads the file; lines that cannot be read are left out. Throws errors of the file system. */
  static async open(
    path: string,
    init: { readonly onError: (error: unknown) => void },
  ): Promise<FirstSeenFile> {
    const { lines, seen } = await readEntries(path)
    if (lines > maxEntries) await writeAnew(path, seen)
    return new FirstSeenFile(await AppendLog.open({ path, ...init }), seen)
  }

  private constructor(log: AppendLog, seen: Map<string, number>) {
    this.#log = log
    this.#seen = seen
  }

  async see(module: ModuleVersion, nowMs: number): Promise<number> {
    const key = formatModuleVersion(module)
    const before = this.#seen.get(key)
    if (before !== undefined) return before
    this.#seen.set(key, nowMs)
    const [oldest] = this.#seen.keys()
    if (this.#seen.size > maxEntries && oldest !== undefined) this.#seen.delete(oldest)
    await this.#log.append(formatEntry([key, nowMs]))
    return nowMs
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#log[Symbol.asyncDispose]()
  }
}

async function readEntries(
  path: string,
): Promise<{ readonly lines: number; readonly seen: Map<string, number> }> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (errorCode(error) === 'ENOENT') return ''
    throw error
  })
  const lines = text.split('\n').filter((line) => line !== '')
  const seen = new Map<string, number>()
  for (const line of lines.slice(-maxEntries)) {
    const entry = parseEntry(line)
    // The first line of a version counts: nothing that is written later makes it older.
    if (entry !== undefined && !seen.has(entry.module)) seen.set(entry.module, entry.ms)
  }
  return { lines: lines.length, seen }
}

function parseEntry(line: string): v.InferOutput<typeof entrySchema> | undefined {
  try {
    return v.parse(entrySchema, JSON.parse(line))
  } catch {
    // Torn or rotten: the version counts as seen when it is asked for next.
    return undefined
  }
}

async function writeAnew(path: string, seen: ReadonlyMap<string, number>): Promise<void> {
  const text = Array.from(seen, (entry) => `${formatEntry(entry)}\n`).join('')
  await writeFile(`${path}.new`, text, { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
}

function formatEntry([module, ms]: readonly [string, number]): string {
  return JSON.stringify({ module, ms })
}

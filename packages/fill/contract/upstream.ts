import type { ModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { ModuleNotFoundError, OfflineError, UpstreamUnavailableError } from '../src/errors.ts'
import type { Upstream } from '../src/upstream.ts'

/** An upstream under test, and what it has. */
export interface OpenUpstream {
  readonly upstream: Upstream
  /** A module version that it has, with its files. */
  readonly published: {
    readonly module: ModuleVersion
    readonly zip: Uint8Array
    readonly mod: Uint8Array
    readonly info: Uint8Array
    readonly list: Uint8Array
    readonly latest: Uint8Array
  }
  /** One of another path that it lacks. */
  readonly missing: ModuleVersion
  readonly dispose: () => Promise<void>
}

/** What every Upstream promises. `state` is the condition it is opened in. */
export function upstreamContract(
  name: string,
  open: (state: 'well' | 'dead' | 'off') => Promise<OpenUpstream>,
): void {
  const using = async (
    state: 'well' | 'dead' | 'off',
    use: (opened: OpenUpstream) => Promise<void>,
  ) => {
    const opened = await open(state)
    try {
      await use(opened)
    } finally {
      await opened.dispose()
    }
  }

  describe(`${name} keeps the contract of an Upstream`, () => {
    test('it gives every file as it is', async () => {
      await using('well', async ({ upstream, published }) => {
        expect(upstream.isEnabled()).toBe(true)
        const { module } = published
        expect(await zipOf(upstream, module)).toEqual(Buffer.from(published.zip))
        const answers = [
          [await upstream.fetchMod(module, never), published.mod],
          [await upstream.fetchInfo(module, never), published.info],
          [await upstream.fetchList(module.path, never), published.list],
          [await upstream.fetchLatest(module.path, never), published.latest],
        ] as const
        for (const [answer, due] of answers) {
          expect(Buffer.from(answer.bytes)).toEqual(Buffer.from(due))
          expect(answer.from).not.toContain('@')
        }
      })
    })

    test('what it lacks is not found', async () => {
      await using('well', async ({ upstream, missing }) => {
        for (const ask of questions(upstream, missing, never)) {
          await expect(ask()).rejects.toBeInstanceOf(ModuleNotFoundError)
        }
      })
    })

    test('dead it is unavailable, which is not "not found"', async () => {
      await using('dead', async ({ upstream, published }) => {
        expect(upstream.isEnabled()).toBe(true)
        for (const ask of questions(upstream, published.module, never)) {
          await expect(ask()).rejects.toBeInstanceOf(UpstreamUnavailableError)
        }
      })
    })

    test('off it says so, and can be asked about it', async () => {
      await using('off', async ({ upstream, published }) => {
        expect(upstream.isEnabled()).toBe(false)
        for (const ask of questions(upstream, published.module, never)) {
          await expect(ask()).rejects.toBeInstanceOf(OfflineError)
        }
      })
    })

    test('it ends with the signal', async () => {
      await using('well', async ({ upstream, published }) => {
        const gone = { signal: AbortSignal.abort(new Error('gone')) }
        for (const ask of questions(upstream, published.module, gone)) {
          await expect(ask()).rejects.toThrow()
        }
      })
    })

    test('a sink that fails ends the fetch', async () => {
      await using('well', async ({ upstream, published }) => {
        const sink = { write: () => Promise.reject(new Error('disk full')) }
        const options = { ...never, onReset: async () => {} }
        await expect(upstream.fetchZip(published.module, sink, options)).rejects.toThrow()
      })
    })
  })
}

type Asking = { readonly signal: AbortSignal }

const never: Asking = { signal: new AbortController().signal }

function questions(
  upstream: Upstream,
  module: ModuleVersion,
  options: Asking,
): (() => Promise<unknown>)[] {
  return [
    () => zipOf(upstream, module, options),
    () => upstream.fetchMod(module, options),
    () => upstream.fetchInfo(module, options),
    () => upstream.fetchList(module.path, options),
    () => upstream.fetchLatest(module.path, options),
    () => upstream.fetchQuery(module.path, 'main', options),
  ]
}

async function zipOf(
  upstream: Upstream,
  module: ModuleVersion,
  options: Asking = never,
): Promise<Buffer> {
  let chunks: Uint8Array[] = []
  const sink = {
    write: async (chunk: Uint8Array) => {
      chunks.push(chunk.slice())
    },
  }
  const onReset = async () => {
    chunks = []
  }
  await upstream.fetchZip(module, sink, { ...options, onReset })
  return Buffer.concat(chunks)
}

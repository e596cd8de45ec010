import type { ModuleVersion, ZipHash } from '@modmesh/module'
import { asError, HashMismatchError, PeerError, RemoteError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import { sourceOf, sourceOfPeer } from './fill-event.ts'
import { NobodyHasItError } from './nobody-has-it.ts'
import type { PeerId } from './peers.ts'
import type { RemoteLevel } from './remote-level.ts'
import { abortable } from './scope.ts'
import { MixedBytesError } from './sent-parts.ts'
import type { SplitZip } from './split-zip.ts'
import { fetchChanges } from './zip-from-delta.ts'
import { type Patience, patiently } from './zip-progress.ts'
import {
  type ArrivingZip,
  isWrong,
  receiveZip,
  type Transfer,
  type VerifiedZip,
} from './zip-transfer.ts'

type Waiting = { readonly signal: AbortSignal }

/** A zip that a peer is to deliver. */
export interface PeerTransfer extends Transfer {
  readonly zipHash: ZipHash
  readonly peer: PeerId
  /** Lets others bring parts of it. */
  readonly split?: SplitZip
}

/** Fetches from one peer and verifies. Throws PeerError, HashMismatchError, ZipRulesError, StoreFailure. */
export async function fetchFromPeer(
  ctx: FillContext,
  job: PeerTransfer & Patience,
  options: Waiting,
): Promise<VerifiedZip> {
  const { zipHash, peer, split } = job
  const stalled = () => new PeerError(peer, 'stalled', unable)
  return await receiveFromPeer(ctx, job, options, async (zip) => {
    if (await fetchChanges(ctx, job, zip, options)) return 'verified'
    const sink = split?.sink(zip) ?? zip
    const fetch = async () => {
      await patiently(ctx, job, options.signal, stalled, (signal) =>
        ctx.peers.fetchZip(peer, zipHash, sink, {
          signal,
          onFirstByte: zip.begin,
          ...(job.cuts === undefined ? {} : { resume: zip.resume }),
        }),
      )
    }
    await (split === undefined ? fetch() : split.carry(fetch, options))
    return undefined
  })
}

/** Takes the bytes that a peer sent along with an answer, and verifies. Throws as `fetchFromPeer` does. */
export async function takeFromPeer(
  ctx: FillContext,
  job: PeerTransfer & { readonly bytes: Uint8Array },
  options: Waiting,
): Promise<VerifiedZip> {
  return await receiveFromPeer(ctx, job, options, async (zip) => {
    await zip.write(job.bytes)
    return undefined
  })
}

/**
 * Takes from a peer what it is still receiving, and verifies. The origin of wrong bytes is not known:
 * nobody is to blame. Throws as `fetchFromPeer` does.
 */
export async function takeComing(
  ctx: FillContext,
  job: PeerTransfer,
  options: Waiting,
): Promise<VerifiedZip> {
  const { module, peer } = job
  return await receiveFromPeer(ctx, job, options, async (zip) => {
    await abortable(ctx.peers.fetchComing(peer, module, zip, options), options.signal)
    return undefined
  })
}

/**
 * Fetches from the remote store and verifies against the hash that `expected` resolves to. Throws
 * NobodyHasItError, RemoteError, HashMismatchError, ZipRulesError, StoreFailure.
 */
export async function fetchFromRemote(
  ctx: FillContext,
  job: Transfer & Patience & { readonly level: RemoteLevel; readonly expected: Promise<ZipHash> },
  { signal: outer }: Waiting,
): Promise<VerifiedZip> {
  const { module, level } = job
  const stalled = () => new RemoteError('stalled', unable)
  return await receiveZip(ctx, job, outer, async (zip) => {
    const found = await patiently(ctx, job, outer, stalled, (signal) =>
      level.fetchZip(module, zip, { signal, onReset: zip.reset }),
    )
    if (!found) throw new NobodyHasItError()
    const zipHash = await abortable(job.expected, outer)
    try {
      await zip.verify(zipHash)
    } catch (error) {
      if (isWrong(error)) level.refuse(module, 'zip', error.message)
      throw error
    }
    level.accept(module, 'zip')
    return { zipHash, source: { kind: 'remote', from: level.name } }
  })
}

/**
 * Fetches from upstream and verifies against the hash that `expected` resolves to; undefined accepts
 * upstream's word. Throws UpstreamRefusedError and what the port throws, StoreFailure.
 */
export async function fetchFromUpstream(
  ctx: FillContext,
  job: Transfer & { readonly expected: Promise<ZipHash | undefined> },
  { signal }: Waiting,
): Promise<VerifiedZip> {
  const { module } = job
  return await receiveZip(ctx, job, signal, async (zip) => {
    const fetching = ctx.upstream.fetchZip(module, zip, { signal, onReset: zip.reset })
    const given = await abortable(fetching, signal)
    const expected = await abortable(job.expected, signal)
    try {
      return { zipHash: await zip.verify(expected), source: sourceOf(given) }
    } catch (error) {
      if (!isWrong(error)) throw error
      const seen = {
        expected: expected ?? 'a module zip',
        actual: error instanceof HashMismatchError ? error.actual : error.message,
        from: given.from,
      }
      throw ctx.refuse(module, seen, { cause: error })
    }
  })
}

/** Blames a peer whose zip was wrong, or that broke the protocol; an attempt may fail for less. */
export function blameLiar(
  ctx: FillContext,
  peer: PeerId,
  module: ModuleVersion,
  error: unknown,
): void {
  if (isWrong(error) || (error instanceof PeerError && error.fault === 'protocol')) {
    ctx.blame(peer, module, asError(error).message)
  }
}

const unable = { fault: 'unable' } as const

async function receiveFromPeer(
  ctx: FillContext,
  job: PeerTransfer,
  { signal }: Waiting,
  bring: (zip: ArrivingZip) => Promise<'verified' | undefined>,
): Promise<VerifiedZip> {
  const { zipHash, peer, split } = job
  return await receiveZip(ctx, job, signal, async (zip) => {
    const isVerified = (await bring(zip)) === 'verified'
    try {
      if (!isVerified) await zip.verify(zipHash)
    } catch (error) {
      const sent = isWrong(error) ? await split?.sent() : undefined
      throw sent === undefined ? error : new MixedBytesError(sent, { cause: error })
    }
    return { zipHash, source: sourceOfPeer(ctx.peers, split?.best ?? peer) }
  })
}

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Comparison, inTurn } from '../measure.ts'
import { End, type GiverKind, type TakerKind } from './end.ts'

/** Bytes of one body: a large zip, seconds of work. */
const bodyBytes = 256 << 20

/** A transfer of ours beside one over a bare libp2p stream. */
export interface TransferResult {
  readonly comparison: Comparison
  readonly megabytes: number
  /** Seconds of processor per GB, of both ends together. */
  readonly cpuPerGigabyte: { readonly ours: number; readonly bare: number }
}

/** Measures both between two processes of one machine: file to file, hashed, encrypted. The first of each is for warming up. */
export async function compareTransfer(scratch: string, rounds: number): Promise<TransferResult> {
  const dir = mkdtempSync(join(scratch, 'transfer-'))
  await using ours = await Pair.start(dir, ['giver', 'taker'])
  await using bare = await Pair.start(dir, ['bare-giver', 'bare-taker'])
  await ours.take()
  await bare.take()
  const before = [await ours.cpuSeconds(), await bare.cpuSeconds()] as const
  const comparison = await inTurn(
    rounds,
    () => ours.take(),
    () => bare.take(),
  )
  const gigabytes = (rounds * bodyBytes) / 1e9
  const cpuPerGigabyte = {
    ours: ((await ours.cpuSeconds()) - before[0]) / gigabytes,
    bare: ((await bare.cpuSeconds()) - before[1]) / gigabytes,
  }
  rmSync(dir, { recursive: true, force: true })
  return { comparison, megabytes: bodyBytes / 1e6, cpuPerGigabyte }
}

/** Both ends. */
class Pair implements AsyncDisposable {
  readonly #giver: End
  readonly #taker: End

  private constructor(giver: End, taker: End) {
    this.#giver = giver
    this.#taker = taker
  }

  static async start(
    dir: string,
    [giving, taking]: readonly [GiverKind, TakerKind],
  ): Promise<Pair> {
    const giver = await End.start({ kind: giving, dir: folder(dir, giving), bytes: bodyBytes })
    const { given } = giver
    return new Pair(giver, await End.start({ kind: taking, dir: folder(dir, taking), given }))
  }

  take(): Promise<number> {
    return this.#taker.take()
  }

  async cpuSeconds(): Promise<number> {
    return (await this.#giver.cpuSeconds()) + (await this.#taker.cpuSeconds())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#giver.end()
    this.#taker.end()
  }
}

function folder(dir: string, name: string): string {
  const path = join(dir, name)
  mkdirSync(path)
  return path
}

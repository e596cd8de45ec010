import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What a giver says to its taker: an address or a ticket, and what to ask whom for. */
export interface Given {
  readonly where: string
  readonly peer: string
  readonly zipHash: string
  readonly bytes: number
}

/** What a process is. */
export type EndRole =
  | { readonly kind: GiverKind; readonly dir: string; readonly bytes: number }
  | { readonly kind: TakerKind; readonly dir: string; readonly given: Given }

export type GiverKind = 'giver' | 'bare-giver'
export type TakerKind = 'taker' | 'bare-taker'

interface Told {
  readonly seconds: number
  readonly cpuSeconds: number
}

/** One end of a transfer. */
export class End {
  readonly given: Given
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, given: Given) {
    this.#child = child
    this.given = given
  }

  /** Starts it in a process of its own. */
  static async start(role: EndRole): Promise<End> {
    const script = fileURLToPath(new URL('./process.ts', import.meta.url))
    const child = fork(script, [JSON.stringify(role)])
    return new End(child, (await message(child)) as Given)
  }

  /** Fetches once. Returns seconds. */
  async take(): Promise<number> {
    return (await this.#ask('take')).seconds
  }

  /** Seconds of processor that it has used so far. */
  async cpuSeconds(): Promise<number> {
    return (await this.#ask('cpu')).cpuSeconds
  }

  end(): void {
    this.#child.kill('SIGKILL')
  }

  async #ask(what: 'take' | 'cpu'): Promise<Told> {
    this.#child.send(what)
    return (await message(this.#child)) as Told
  }
}

async function message(child: ChildProcess): Promise<unknown> {
  const [got] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`one end of the transfer ended with code ${code}`)
    }),
  ])
  return got
}

import { spawn } from 'node:child_process'

/** Runs a command to its end and returns how long it took, in seconds. Throws when it fails. */
export async function timeCommand(
  command: string,
  args: readonly string[],
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
): Promise<number> {
  const started = performance.now()
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const seconds = (performance.now() - started) / 1000
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: exit ${code}\n${errors}`)
  return seconds
}

/** One thing measured against another, run in turn. */
export interface Comparison {
  readonly a: readonly number[]
  readonly b: readonly number[]
}

/** Runs A B, B A, A B, …: a machine whose speed drifts then favours neither. */
export async function inTurn(
  rounds: number,
  a: () => Promise<number>,
  b: () => Promise<number>,
): Promise<Comparison> {
  const result = { a: [] as number[], b: [] as number[] }
  for (let round = 0; round < rounds; round++) {
    if (round % 2 === 0) {
      result.a.push(await a())
      result.b.push(await b())
    } else {
      result.b.push(await b())
      result.a.push(await a())
    }
  }
  return result
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y)
  const middle = sorted.length >> 1
  const high = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? high : (high + (sorted[middle - 1] ?? Number.NaN)) / 2
}

/** Ratio of each pair, A over B. */
export function ratios(comparison: Comparison): number[] {
  return comparison.a.map((value, i) => value / (comparison.b[i] ?? Number.NaN))
}

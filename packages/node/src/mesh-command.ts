import { askNode } from './control-socket/client.ts'
import type { MeshRequest, PublishRequest } from './control-socket/requests.ts'
import { type FlagTexts, readDirOption } from './read-options.ts'
import type { Surroundings } from './settings.ts'

/** A node that waits for others still answers in this time. Milliseconds. */
const answerTimeoutMs = 15_000

/** Flags of every command about the mesh. */
export type MeshFlags = FlagTexts & { readonly json?: true }

/** Has the running node do something about its mesh. Throws CommandError: 21 when none runs. */
export async function askMesh<T>(
  flags: MeshFlags,
  around: Surroundings,
  request: MeshRequest | PublishRequest,
  options: { readonly timeoutMs: number } = { timeoutMs: answerTimeoutMs },
): Promise<T> {
  const dir = await readDirOption(flags, around)
  const signal = AbortSignal.timeout(options.timeoutMs)
  return (await askNode(dir, request, { signal })) as T
}

/** Prints one JSON object with its schema. */
export function printJson(schema: string, value: object): void {
  process.stdout.write(`${JSON.stringify({ schema, ...value })}\n`)
}

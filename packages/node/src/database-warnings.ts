import { join } from 'node:path'
import type { SumdbClient } from '@modmesh/sumdb'

/** Says what a checksum database did wrong, where the proof is, and what to do. `folder`: what is kept of it. */
export function databaseWarnings(
  client: Pick<SumdbClient, 'name' | 'fork' | 'refusedAnswers' | 'lastRefusal'>,
  folder: string,
): readonly string[] {
  const { name, fork, refusedAnswers, lastRefusal } = client
  const warnings: string[] = []
  if (fork !== undefined) {
    warnings.push(
      `${name} signed two trees that cannot be one log's: nothing new is trusted, what was proven before is served. ` +
        `Both notes are in ${join(folder, 'fork')}: show them to whoever runs the database, and find out over ` +
        `another network which is true. To trust it again: stop the node, move the folder away, start it`,
    )
  }
  if (lastRefusal !== undefined) {
    const answers = refusedAnswers === 1 ? 'an answer' : `${refusedAnswers} answers`
    warnings.push(
      `${name} gave ${answers} that did not verify, refused and not passed on; the last to ${lastRefusal.path}: ` +
        `${lastRefusal.reason}. They are in ${join(folder, 'refused')}. If it goes on, ask over another upstream ` +
        `or network, and report it`,
    )
  }
  return warnings
}

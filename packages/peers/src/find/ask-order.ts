import { setTimeout as sleep } from 'node:timers/promises'
import { pickOwner } from '@modmesh/fill'
import type { PeerLink } from '../control/peer-link.ts'
import { siteLimits } from '../limits.ts'

/** The member of a site that fetches a key for it, then the others in their order. */
export function ownerFirst(links: readonly PeerLink[], key: string): readonly PeerLink[] {
  const owner = pickOwner(
    key,
    links.map(({ peer }) => peer),
  )
  const isOwner = ({ peer }: PeerLink): boolean => peer === owner
  return [...links.filter(isOwner), ...links.filter((link) => !isOwner(link))]
}

/** Resolves when all of our own site said no, or have had their time: a little more where one knew something. */
export async function nearHadTheirChance(near: readonly Promise<boolean>[]): Promise<void> {
  let hasKnower = false
  const answers = near.map(async (answer) => {
    if (await answer.catch(no)) hasKnower = true
  })
  await Promise.race([Promise.all(answers), wait(siteLimits.nearFirstMs)])
  if (hasKnower) await wait(siteLimits.nearKnewMs)
}

/**
 * Asks the owner of a key in our own site, who most likely knows of it, then all others together: when it does not
 * know, when it is slow, and when what it said did not end the asking.
 */
export function askOwnerFirst(
  near: readonly PeerLink[],
  key: string,
  how: {
    readonly askOnce: (link: PeerLink) => Promise<boolean>
    readonly signal: AbortSignal
  },
): readonly Promise<boolean>[] {
  const able = near.filter(({ session }) => session.quietMs < siteLimits.quietMs)
  const [first] = ownerFirst(able, key)
  if (first === undefined) return near.map(how.askOnce)
  const answer = how.askOnce(first)
  const chance = ownerHadItsChance(first, answer)
  const others = near.filter((link) => link !== first)
  return [
    answer,
    ...others.map(async (link) => {
      await chance
      return how.signal.aborted ? false : await how.askOnce(link)
    }),
  ]
}

async function ownerHadItsChance(owner: PeerLink, answer: Promise<boolean>): Promise<void> {
  const { nextNearMs, nextNearRtts, maxNextNearMs, nearKnewMs } = siteLimits
  const lateMs = Math.max(nextNearMs, nextNearRtts * (owner.session.rttMs ?? nextNearMs))
  const knew = await Promise.race([
    answer.catch(no),
    wait(Math.min(lateMs, maxNextNearMs)).then(no),
  ])
  if (knew) await wait(nearKnewMs)
}

/** Asks one after another until one knows something; who is slow is joined by the next. */
export async function askInTurn(
  links: readonly PeerLink[],
  how: {
    readonly askOnce: (link: PeerLink) => Promise<boolean>
    readonly signal: AbortSignal
  },
): Promise<void> {
  const asking: Promise<boolean>[] = []
  for (const link of links) {
    if (how.signal.aborted) return
    const { nextFarMs, nextFarRtts } = siteLimits
    const answer = how.askOnce(link)
    asking.push(answer)
    const lateMs = Math.max(nextFarMs, nextFarRtts * (link.session.rttMs ?? 0))
    if (await Promise.race([answer, wait(lateMs).then(no)])) return
  }
  await Promise.all(asking)
}

function wait(ms: number): Promise<void> {
  return sleep(ms, undefined, { ref: false })
}

function no(): boolean {
  return false
}

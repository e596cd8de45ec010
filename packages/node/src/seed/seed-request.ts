import type { PrefetchRequest } from '../prefetch/prefetch-request.ts'

/** What a node is asked to have its site hold. */
export interface SeedRequest {
  readonly command: 'seed'
  /** Name or peer id of a connected member. */
  readonly from: string
  /** Copies of each in the site. */
  readonly replicas: number
  /** How long a giver that went away is waited for, milliseconds. */
  readonly waitMs: number
  /** What projects need; absent for all that the giver has. */
  readonly projects?: Pick<PrefetchRequest, 'files' | 'locals' | 'platforms' | 'all'> | undefined
}

/** How far a seed is. */
export interface SeedProgress {
  /** Module versions that some member of the site holds. */
  readonly here: number
  /** Module versions whose copies are all there, and all of them. */
  readonly done: number
  readonly total: number
  /** Whether what crosses the link is being brought, copies are made inside the site, or the link is waited for. */
  readonly state: 'crossing' | 'copying' | 'waiting'
}

/** One module version as a seed left it. */
export interface SeedLine {
  readonly module: string
  /** Whether its zip was wanted, or its go.mod alone. */
  readonly what: 'zip' | 'mod'
  /** Names of the members of the site that hold it. */
  readonly held: readonly string[]
  /** Why there are fewer than were wanted; null when there are not. */
  readonly missing: string | null
}

/** What `seed` is answered with. */
export interface SeedReport {
  readonly from: string
  readonly site: string
  /** Members that divided the work, this node included. */
  readonly members: readonly string[]
  /** Copies asked for. */
  readonly wanted: number
  /** Copies made of each: no more than there are members. */
  readonly replicas: number
  readonly total: number
  readonly complete: number
  /** That some member held before. */
  readonly present: number
  /** That came over the link now. */
  readonly crossed: number
  /** Copies made inside the site. */
  readonly copied: number
  readonly modules: readonly SeedLine[]
}

/** Whether everything is there as often as was wanted. */
export function isComplete({ total, complete }: SeedReport): boolean {
  return complete === total
}

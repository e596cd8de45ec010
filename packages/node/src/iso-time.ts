/** Writes milliseconds since 1970 as ISO 8601, in UTC. */
export function toIso(ms: number): string {
  return new Date(ms).toISOString()
}

/** As `toIso`, null for what never was: JSON has no undefined. */
export function toIsoOrNull(ms: number | undefined): string | null {
  return ms === undefined ? null : toIso(ms)
}

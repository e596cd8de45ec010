/** One of the exit codes of the contract. Node itself uses 1 to 14, so ours start at 20. */
export type ExitCode = 0 | 1 | 2 | 20 | 21 | 22 | 23 | 24

/** What a command's exit says (design, section 7). */
export const exitCodes: {
  readonly done: 0
  readonly failed: 1
  readonly wrongUsage: 2
  readonly degraded: 20
  readonly notRunning: 21
  readonly storeHeld: 22
  readonly hashMismatch: 23
  readonly unreachable: 24
} = {
  done: 0,
  failed: 1,
  wrongUsage: 2,
  degraded: 20,
  notRunning: 21,
  storeHeld: 22,
  hashMismatch: 23,
  unreachable: 24,
}

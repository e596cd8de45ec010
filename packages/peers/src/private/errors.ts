/** Why a statement about private modules does not count. */
export type StatementProblem =
  | 'malformed'
  | 'other-mesh'
  | 'other-module'
  | 'from-the-future'
  | 'bad-signature'
  | 'no-role'
  | 'outdated'

/** Tells that a statement about private modules does not count. Nothing of it may be believed. */
export class StatementRefusedError extends Error {
  readonly code = 'STATEMENT_REFUSED'
  override readonly name = 'StatementRefusedError'
  readonly problem: StatementProblem

  constructor(problem: StatementProblem, message: string, options?: ErrorOptions) {
    super(message, options)
    this.problem = problem
  }
}

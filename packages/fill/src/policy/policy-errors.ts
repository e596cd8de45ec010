import { formatModuleVersion, type ModulePath, type ModuleVersion } from '@modmesh/module'

/** A module or version that this node was told not to give to anybody. The message says by which rule. */
export class PolicyDeniedError extends Error {
  readonly code = 'POLICY'
  readonly path: ModulePath
  constructor(what: ModulePath | ModuleVersion, reasons: readonly string[]) {
    const isPath = typeof what === 'string'
    const name = isPath ? what : formatModuleVersion(what)
    super([`${name}: refused by the policy of this node`, ...reasons].join('\n'))
    this.name = 'PolicyDeniedError'
    this.path = isPath ? what : what.path
  }
}

/** The validator could not be asked, and without it nothing is allowed: our trouble, not a refusal. */
export class ValidatorUnavailableError extends Error {
  readonly code = 'VALIDATOR_UNAVAILABLE'
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'ValidatorUnavailableError'
  }
}

/** A policy rule that cannot be understood. A rule that were skipped would let in what it was to keep out. */
export class InvalidPolicyRuleError extends Error {
  readonly code = 'INVALID_POLICY_RULE'
  constructor(rule: string, reason: string) {
    super(`${JSON.stringify(rule.slice(0, 200))}: ${reason}`)
    this.name = 'InvalidPolicyRuleError'
  }
}

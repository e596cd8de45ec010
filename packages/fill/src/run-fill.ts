import { formatModuleVersion, type ModuleVersion } from '@modmesh/module'
import { explainFailure } from './explain-failure.ts'
import type { FillContext } from './fill-context.ts'
import type { Scope } from './scope.ts'

/** Runs one fill with the overall deadline. Throws the one error that tells of all that went wrong. */
export async function runFill<T>(
  ctx: FillContext,
  module: ModuleVersion,
  fill: (scope: Scope) => Promise<T>,
): Promise<T> {
  return await ctx.withDeadline(formatModuleVersion(module), async (scope) => {
    try {
      return await fill(scope)
    } catch (error) {
      throw explainFailure(ctx, module, error)
    }
  })
}

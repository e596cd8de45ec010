import { BundleError, BundleSourceError } from '@modmesh/store'
import type { BundleRequest } from '../control-socket/requests.ts'
import type { AnswerOptions } from '../control-socket/server.ts'
import { CommandError } from '../errors.ts'
import { exitCodes } from '../exit-codes.ts'
import { answerExport, type ExportComponents } from './export-answer.ts'
import { exitOfFault } from './fault-exit.ts'
import { answerImport, type ImportComponents } from './import-answer.ts'
import { openSeenFile, piecesOf } from './own-file.ts'
import type { ExportResult, ImportResult } from './results.ts'

/** What bundles are made and taken in with. */
export type BundleComponents = ExportComponents & ImportComponents

/** Answers what has to do with bundles: asked by a running node, or by a command that has opened the store itself. */
export async function answerBundleRequest(
  components: BundleComponents,
  request: BundleRequest,
  options: AnswerOptions,
): Promise<ExportResult | ImportResult> {
  try {
    if (request.command === 'export') return await answerExport(components, request, options)
    await using file = request.file && (await openSeenFile(request.file))
    // Thousands of pieces from a socket are as much garbage before a collection; a file is read into one.
    const chunks = file === undefined ? options.stream.receive() : piecesOf(file)
    return await answerImport(components, request, chunks, options)
  } catch (error) {
    if (error instanceof BundleError) {
      const message = `the earlier bundle is refused (${error.code}): ${error.message}`
      throw new CommandError(message, { exitCode: exitOfFault(error.code), cause: error })
    }
    if (!(error instanceof BundleSourceError)) throw error
    throw new CommandError(error.message, { exitCode: exitCodes.failed, cause: error })
  }
}

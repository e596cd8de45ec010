import type { ModulePath, ModuleVersion } from '@modmesh/module'
import type { FillKind } from './fill-event.ts'
import type { AskOptions } from './module-source.ts'
import type { ChangingQuestion, OwnerQuestion } from './peers.ts'

/** What is asked for, as keys, messages and events name it. */
export interface RequestSubject<What = FillKind> {
  readonly what: What
  readonly path: ModulePath
  /** The version or query; absent for lists and latest. */
  readonly version: string | undefined
}

/** One request. */
export interface FillRequest<What = FillKind> extends RequestSubject<What> {
  /** Set where an answer is for ever. */
  readonly module?: ModuleVersion
  readonly options: AskOptions
}

/** A request for a part of a module version. */
export interface PartRequest<What = FillKind> extends FillRequest<What> {
  readonly module: ModuleVersion
}

/** Makes the request for a part of a module version. */
export function partRequest<What extends 'zip' | 'mod' | 'info'>(
  what: What,
  module: ModuleVersion,
  options: AskOptions,
): PartRequest<What> {
  return { what, ...module, module, options }
}

/** Makes the request for an answer that changes. */
export function changingRequest(question: ChangingQuestion, options: AskOptions): FillRequest {
  return { ...subjectOf(question), options }
}

/** Names what a question is about. */
export function subjectOf<Q extends OwnerQuestion>(question: Q): RequestSubject<Q['what']> {
  const { what } = question
  if ('module' in question) return { what, ...question.module }
  return { what, path: question.path, version: 'query' in question ? question.query : undefined }
}

/** Equal requests have equal keys. Neither a path nor a version can hold a space. */
export function keyOf({ what, path, version }: RequestSubject<string>): string {
  return `${what} ${path} ${version ?? ''}`
}

/** Names a request in messages. */
export function nameOf({ path, version }: RequestSubject): string {
  return version === undefined ? path : `${path}@${version}`
}

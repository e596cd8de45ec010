import * as v from 'valibot'
import type { GoEnv } from '../client-env.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { type ControlRequest, controlVersion, requestSchema } from './requests.ts'

/** The go.sum files of a few large projects fit; whoever may connect could stop the node as well. Bytes. */
export const maxRequestBytes: number = 16 * 1024 * 1024

/** Bounds the client's memory; `status` of thousands of peers fits. Bytes. */
export const maxResponseBytes: number = 16 * 1024 * 1024

export type ControlResponse =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly message: string; readonly exitCode: ExitCode }

/** What `hello` is answered with. */
export interface Hello {
  readonly pid: number
  readonly version: string
  /** ISO 8601. */
  readonly startedAt: string
  /** What `go` on this host is to be told; undefined while starting. */
  readonly env?: GoEnv | undefined
  /** Further ways to the node, for containers and other hosts. */
  readonly otherWays?: readonly string[] | undefined
}

/** Checks `hello`'s answer. */
export const helloSchema: v.GenericSchema<unknown, Hello> = v.object({
  pid: v.number(),
  version: v.string(),
  startedAt: v.string(),
  env: v.optional(v.record(v.string(), v.string())),
  otherWays: v.optional(v.array(v.string())),
})

const progressSchema = v.object({ v: v.number(), progress: v.unknown() })

const exitCodeSchema = v.picklist(Object.values(exitCodes))

const responseSchema = v.variant('ok', [
  v.object({ v: v.number(), ok: v.literal(true), result: v.unknown() }),
  v.object({ v: v.number(), ok: v.literal(false), message: v.string(), exitCode: exitCodeSchema }),
])

/** A request, and whether its sender wants to hear how it goes on. */
export interface AskedRequest {
  readonly request: ControlRequest
  readonly wantsProgress: boolean
}

const askedSchema = v.looseObject({ progress: v.optional(v.literal(true)) })

/** Reads one request line; throws when it is not one. */
export function parseRequest(line: string): AskedRequest {
  const { progress, ...rest } = v.parse(askedSchema, JSON.parse(line))
  const { v: _version, ...request } = v.parse(requestSchema, rest)
  return { request, wantsProgress: progress === true }
}

/** Writes a request as one line. */
export function formatRequest({ request, wantsProgress }: AskedRequest): string {
  const progress = wantsProgress ? { progress: true } : {}
  return `${JSON.stringify({ v: controlVersion, ...progress, ...request })}\n`
}

/** Reads a line that tells of the progress; undefined when it is something else. Throws when it is no JSON. */
export function parseProgress(line: string): { readonly progress: unknown } | undefined {
  const read = v.safeParse(progressSchema, JSON.parse(line))
  return read.success && 'progress' in read.output ? { progress: read.output.progress } : undefined
}

/** Writes how a request goes on as one line. */
export function formatProgress(progress: unknown): string {
  return `${JSON.stringify({ v: controlVersion, progress })}\n`
}

/** Reads one response line; throws when it is not one. */
export function parseResponse(line: string): ControlResponse {
  const { v: _version, ...response } = v.parse(responseSchema, JSON.parse(line))
  return response
}

/** Writes a response as one line. */
export function formatResponse(response: ControlResponse): string {
  return `${JSON.stringify({ v: controlVersion, ...response })}\n`
}

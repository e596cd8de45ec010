import * as v from 'valibot'
import type { ExportRequest } from '../bundle/export-answer.ts'
import type { ImportRequest } from '../bundle/import-answer.ts'
import type { PrefetchRequest } from '../prefetch/prefetch-request.ts'
import type { SeedRequest } from '../seed/seed-request.ts'

/**
 * The control protocol: the client sends one line of JSON, the node answers with one line and closes. Where the
 * request says `"progress":true`, lines that tell of the progress may come before the answer.
 * A node refuses a version it does not speak, so mixed installations fail with a clear text.
 */
export const controlVersion = 1

/** What needs the store only: a command does it itself where no node runs. */
export type StoreRequest =
  | {
      readonly command: 'ls'
      /** As pins are written; none for all. */
      readonly patterns: readonly string[]
      /** The last module version of the page before. */
      readonly after?: string | undefined
    }
  | { readonly command: 'verify' }
  /** Absent: the size that the node was started with. Bytes. */
  | {
      readonly command: 'gc'
      readonly maxBytes?: number | undefined
      /** Only tells what would be removed. */
      readonly dryRun?: boolean | undefined
    }
  | {
      readonly command: 'pin'
      readonly pins: readonly string[]
      /** The text of the go.sum files of a project, whose zips are pinned under its name. */
      readonly project?: { readonly name: string; readonly sums: string } | undefined
    }
  /** `project`: a name under which one was pinned. */
  | {
      readonly command: 'unpin'
      readonly pins: readonly string[]
      readonly project?: string | undefined
    }
  | {
      readonly command: 'adopt'
      /** Absolute path of a GOMODCACHE. */
      readonly cache: string
      /** Each PATH@VERSION; absent for all that is there. */
      readonly only?: readonly string[] | undefined
      /** They were looked at before and did not change: only what can be proven by now is hashed. */
      readonly again?: boolean | undefined
      /** The text of go.sum files that are believed. */
      readonly sums?: string | undefined
    }
  /** Each PATH@VERSION; none only lists what waits. */
  | { readonly command: 'accept'; readonly modules: readonly string[] }

/** What only a running node can do: it is the one that is in the mesh. */
export type MeshRequest =
  | {
      readonly command: 'invite'
      readonly site?: string | undefined
      readonly roles?: string[] | undefined
      readonly expiresMs?: number | undefined
      readonly uses?: number | undefined
    }
  | { readonly command: 'join'; readonly ticket: string }
  | { readonly command: 'members' | 'rekey' | 'root-export' | 'root-rotate' }
  /** A name, a peer id, or the serial of an invite. */
  | { readonly command: 'revoke'; readonly target: string; readonly why?: string | undefined }
  | { readonly command: 'leave'; readonly forgetRoot?: boolean | undefined }
  | { readonly command: 'root-import'; readonly key: string }
  | { readonly command: 'root-grant'; readonly target: string }

/** Signs private modules into the mesh; each is PATH@VERSION. */
export interface PublishRequest {
  readonly command: 'publish'
  readonly modules: readonly string[]
}

/** Requests with which files are streamed. */
export type BundleRequest = ExportRequest | ImportRequest
/** What is asked about links to other sites. */
export type SiteRequest =
  | { readonly command: 'site-list' }
  /** `words` as in --site-link, absent for what is configured. */
  | { readonly command: 'site-limit'; readonly site: string; readonly words?: string | undefined }
  | { readonly command: 'site-test'; readonly site: string; readonly bytes: number }

/** What a client may ask of a running node. */
export type ControlRequest =
  | StoreRequest
  | BundleRequest
  | SiteRequest
  | SeedRequest
  | MeshRequest
  | PublishRequest
  | PrefetchRequest
  /** Who are you: answered even while starting. */
  | { readonly command: 'hello' }
  | { readonly command: 'status' | 'peers' | 'doctor' }
  /** PATH@VERSION. */
  | { readonly command: 'why'; readonly module: string }

const fileKinds = ['go.mod', 'go.sum', 'go.work', 'modules.txt', 'versions'] as const
const sentFile = { path: v.string(), bytes: v.pipe(v.string(), v.base64()) }

/** Checks a request that a client sent. */
export const requestSchema: v.GenericSchema<
  unknown,
  ControlRequest & { readonly v: typeof controlVersion }
> = v.variant('command', [
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('ls'),
    patterns: v.array(v.string()),
    after: v.optional(v.string()),
  }),
  v.strictObject({ v: v.literal(controlVersion), command: v.literal('verify') }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('gc'),
    maxBytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
    dryRun: v.optional(v.boolean()),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('pin'),
    pins: v.array(v.string()),
    project: v.optional(v.strictObject({ name: v.string(), sums: v.string() })),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('unpin'),
    pins: v.array(v.string()),
    project: v.optional(v.string()),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.picklist(['accept', 'publish']),
    modules: v.array(v.string()),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('adopt'),
    cache: v.string(),
    only: v.optional(v.array(v.string())),
    again: v.optional(v.boolean()),
    sums: v.optional(v.string()),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('prefetch'),
    files: v.array(v.strictObject({ ...sentFile, kind: v.picklist(fileKinds) })),
    locals: v.array(v.strictObject(sentFile)),
    platforms: v.array(v.string()),
    all: v.boolean(),
    pin: v.optional(v.string()),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('export'),
    files: v.array(v.strictObject({ ...sentFile, kind: v.picklist(fileKinds) })),
    locals: v.array(v.strictObject(sentFile)),
    platforms: v.array(v.string()),
    all: v.boolean(),
    plan: v.boolean(),
    since: v.boolean(),
    publicOnly: v.boolean(),
    treeSizes: v.array(v.pipe(v.number(), v.integer(), v.minValue(0))),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('import'),
    signers: v.array(v.string()),
    anyOrder: v.boolean(),
    plan: v.boolean(),
    size: v.optional(v.number()),
    file: v.optional(v.strictObject({ path: v.string(), dev: v.number(), ino: v.number() })),
  }),
  v.strictObject({ v: v.literal(controlVersion), command: v.literal('hello') }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.picklist(['status', 'peers', 'doctor']),
  }),
  v.strictObject({ v: v.literal(controlVersion), command: v.literal('why'), module: v.string() }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('invite'),
    site: v.optional(v.string()),
    roles: v.optional(v.array(v.string())),
    expiresMs: v.optional(v.number()),
    uses: v.optional(v.number()),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.picklist(['members', 'rekey', 'root-export', 'root-rotate']),
  }),
  v.strictObject({ v: v.literal(controlVersion), command: v.literal('join'), ticket: v.string() }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('revoke'),
    target: v.string(),
    why: v.optional(v.string()),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('leave'),
    forgetRoot: v.optional(v.boolean()),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('root-import'),
    key: v.string(),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('root-grant'),
    target: v.string(),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('seed'),
    from: v.string(),
    replicas: v.pipe(v.number(), v.integer(), v.minValue(1)),
    waitMs: v.pipe(v.number(), v.minValue(0)),
    projects: v.optional(
      v.strictObject({
        files: v.array(v.strictObject({ ...sentFile, kind: v.picklist(fileKinds) })),
        locals: v.array(v.strictObject(sentFile)),
        platforms: v.array(v.string()),
        all: v.boolean(),
      }),
    ),
  }),
  v.strictObject({ v: v.literal(controlVersion), command: v.literal('site-list') }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('site-limit'),
    site: v.string(),
    words: v.optional(v.string()),
  }),
  v.strictObject({
    v: v.literal(controlVersion),
    command: v.literal('site-test'),
    site: v.string(),
    bytes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(8_000_000)),
  }),
])

import type { PolicyRule } from '@modmesh/fill'
import type { ValueSchema } from './option-values.ts'
import type { SiteLinkText } from './site-rules.ts'

/** Where a ticket comes from. It never comes from argv, which every local user can read. */
export type TicketSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdin' }
  | { readonly kind: 'ticket'; readonly ticket: string }

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Everything `start` can be told. Names are those of the flags in camel case. */
export interface Settings {
  readonly dir: string
  readonly config: string | undefined
  readonly log: LogLevel
  /** Bytes of all zips; undefined for what the disk takes. */
  readonly maxSize: number | undefined
  /** Milliseconds; 0 for never. */
  readonly scrub: number
  /** Each HOST:PORT or `unix:/PATH`; at least one. */
  readonly listen: readonly string[]
  readonly host: readonly string[]
  readonly pathSecret: string | undefined
  /** A list in GOPROXY syntax, and routes, joined by semicolons. */
  readonly upstream: string
  readonly sumdb: string
  readonly s3: string | undefined
  readonly private: readonly string[]
  /** Undefined means: as `private`. */
  readonly noproxy: readonly string[] | undefined
  readonly ttl: number
  readonly negativeTtl: number
  readonly fetchTimeout: number
  /** GOAUTH syntax. */
  readonly goauth: string
  readonly caFile: string | undefined
  readonly offline: boolean
  /** In the order in which they are tried. */
  readonly policy: readonly PolicyRule[]
  /** Milliseconds. */
  readonly minAge: number
  readonly validator: URL | undefined
  readonly validatorFailure: 'open' | 'closed'
  readonly join: TicketSource | undefined
  readonly meshListen: string
  readonly site: string
  readonly name: string
  readonly peer: readonly string[]
  readonly mdns: boolean
  readonly inventory: boolean
  /** Private modules are given to members with the role, and taken from them. */
  readonly sharePrivate: boolean
  readonly connect: 'all' | 'configured'
  readonly maxConnections: number
  /** What may cross the links to other sites; of two for one site the last counts. */
  readonly siteLink: readonly SiteLinkText[]
  /** Names, sites or peer ids of members that seed this site by appearing. */
  readonly seedFrom: readonly string[]
  /** Bytes per second; undefined for no limit. */
  readonly uploadRate: number | undefined
  readonly uploadRatePeer: number | undefined
  readonly uploadRateWan: number | undefined
  readonly uploadRateWanPeer: number | undefined
  /** Undefined for what is the default of the mesh. */
  readonly uploadStreams: number | undefined
  readonly uploadStreamsPeer: number | undefined
  readonly uploadStreamsWan: number | undefined
  readonly uploadStreamsWanPeer: number | undefined
}

export type OptionName = keyof Settings

/** Rows of the table of options. */
export type OptionTable<K extends OptionName> = { readonly [N in K]: Option<Settings[N]> }

/** The part of a process that options are read from. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
  readonly cwd: string
}

/** The headings of `start --help`, in order. */
type OptionGroup = 'This node' | 'Local port' | 'Sources' | 'Policy' | 'Mesh' | 'Uploads'

/** One row of the table: a flag, an environment variable and a configuration key at once. */
export interface Option<T> {
  readonly group: OptionGroup
  /** What the flag takes: one text, several joined by commas (list) or by semicolons, on or off, or a path. */
  readonly kind: 'text' | 'list' | 'rules' | 'routes' | 'switch' | 'path'
  readonly placeholder: string
  readonly help: string
  readonly schema: ValueSchema<T>
  /** How the environment variable is read, where it means something else than the flag. */
  readonly envSchema?: ValueSchema<T>
  /** An empty variable is a value here; elsewhere it counts as unset. */
  readonly emptyEnv?: true
  /** Cannot be set in the configuration file. */
  readonly notInFile?: true
  /** Must not be repeated in error lines. */
  readonly secret?: true
  readonly fallback: (around: Surroundings) => T
  /** The default as people read it. */
  readonly fallbackText?: string
}

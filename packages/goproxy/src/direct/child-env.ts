import { join } from 'node:path'
import type { DirectFolders } from './folders.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** What `go` and `git` are told beside the user's own environment. */
export interface ChildEnvInit {
  /** The environment of this process. */
  readonly around: Environment
  readonly folders: DirectFolders
  /** Whose code may come from any version control system: GOPRIVATE syntax. */
  readonly privatePaths: string
  /** Authorities to trust, PEM; undefined leaves that to the user's own settings. */
  readonly caFile: string | undefined
}

/** Our own settings hold secrets (tickets, upstream passwords); traces would write down others. */
const droppedPrefixes = ['MODMESH_', 'GIT_TRACE'] as const

/** Where git would look for another repository than go tells it, and what changes the texts we read. */
const dropped: ReadonlySet<string> = new Set([
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_INDEX_FILE',
  'GIT_OBJECT_DIRECTORY',
  'GIT_ALTERNATE_OBJECT_DIRECTORIES',
  'GIT_COMMON_DIR',
  'GIT_NAMESPACE',
  'GIT_PREFIX',
  'GIT_CURL_VERBOSE',
  'LANGUAGE',
  'GOWORK',
  'GOROOT_FINAL',
])

/**
 * The environment of every child but for its module cache: the user's, so that .netrc, keys, agents, proxies and git
 * and go settings work; what is written goes to our folders, and nothing is asked of a proxy or checksum database.
 */
export function childEnvironment(init: ChildEnvInit): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(init.around)) {
    const isDropped = dropped.has(name) || droppedPrefixes.some((start) => name.startsWith(start))
    if (value !== undefined && !isDropped) env[name] = value
  }
  const { folders } = init
  Object.assign(env, {
    GO111MODULE: 'on',
    GOPROXY: 'direct',
    GOSUMDB: 'off',
    GOFLAGS: '-modcacherw',
    GOWORK: 'off',
    // A newer go that is installed is used where a module needs it; none is downloaded.
    GOTOOLCHAIN: 'path',
    GOPRIVATE: init.privatePaths,
    GOPATH: folders.gopath,
    GOCACHE: folders.gocache,
    GOTMPDIR: folders.tmp,
    TMPDIR: folders.tmp,
    // Go's name for it; without, counters are written below the user's home.
    TEST_TELEMETRY_DIR: folders.telemetry,
    GIT_TERMINAL_PROMPT: '0',
    GCM_INTERACTIVE: 'never',
    // What went wrong is read from the texts.
    LC_ALL: 'C',
  })
  if (env['GIT_SSH'] === undefined && env['GIT_SSH_COMMAND'] === undefined) {
    env['GIT_SSH_COMMAND'] = 'ssh -o ControlMaster=no -o BatchMode=yes'
  }
  addGitSettings(env, init.caFile)
  return env
}

/** The module cache of one run: its own but for the clones, which all runs share. */
export function moduleCacheOf(callFolder: string): string {
  return join(callFolder, 'mod')
}

function addGitSettings(env: Record<string, string>, caFile: string | undefined): void {
  const settings: [string, string][] = [
    // Repacking in the background would outlive the run, and in the foreground its time limit.
    ['gc.auto', '0'],
    ['maintenance.auto', 'false'],
  ]
  if (caFile !== undefined) {
    env['SSL_CERT_FILE'] = caFile
    if (env['GIT_SSL_CAINFO'] === undefined) settings.push(['http.sslCAInfo', caFile])
    else env['GIT_SSL_CAINFO'] = caFile
  }
  let count = Number(env['GIT_CONFIG_COUNT'] ?? '0')
  if (!Number.isSafeInteger(count) || count < 0) count = 0
  for (const [key, value] of settings) {
    env[`GIT_CONFIG_KEY_${count}`] = key
    env[`GIT_CONFIG_VALUE_${count}`] = value
    count++
  }
  env['GIT_CONFIG_COUNT'] = String(count)
}

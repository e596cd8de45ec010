import { quoteForShell } from '../client-env.ts'
import { type Finding, fail, note, ok, skip, warn } from './finding.ts'
import type { NodeFacts } from './node-facts.ts'

/** The variables of `go` that decide whether and how it uses a node. */
export const goVariables = [
  'GOPROXY',
  'GONOPROXY',
  'GOPRIVATE',
  'GONOSUMDB',
  'GOSUMDB',
  'GOFLAGS',
  'GOPATH',
] as const

export type GoVariables = ReadonlyMap<string, string>

/** The environment of the shell: what is in it wins over what `go env -w` wrote. */
type ShellEnv = Readonly<Record<string, string | undefined>>

/** Looks at what `go` of this host was told. */
export function checkGo(
  go: GoVariables | undefined,
  facts: NodeFacts,
  shell: ShellEnv,
): readonly Finding[] {
  if (go === undefined) return [skip('go', 'there is no `go` that answers to `go env`')]
  return [
    checkProxy(go, facts, shell),
    checkNoProxy(go, facts, shell),
    ...checkSumdb(go, facts, shell),
    ...checkFlags(go, shell),
  ]
}

/** What to type so that `go` has other variables. */
function setLine(shell: ShellEnv, values: Readonly<Record<string, string>>): string {
  const names = Object.keys(values)
  const word = (name: string): string => `${name}=${quoteForShell(values[name] ?? '')}`
  const inShell = names.filter((name) => shell[name])
  const written = names.filter((name) => !shell[name])
  return [
    ...(inShell.length > 0 ? [`export ${inShell.map(word).join(' ')}`] : []),
    ...(written.length > 0 ? [`go env -w ${written.map(word).join(' ')}`] : []),
  ].join('; ')
}

/** What to type so that GOFLAGS has one flag less. */
function dropFlagLine(shell: ShellEnv, flags: readonly string[], flag: string): string {
  const rest = flags.filter((each) => each !== flag).join(' ')
  if (rest !== '') return setLine(shell, { GOFLAGS: rest })
  return shell.GOFLAGS ? 'unset GOFLAGS' : 'go env -u GOFLAGS'
}

function checkProxy(go: GoVariables, { env }: NodeFacts, shell: ShellEnv): Finding {
  const id = 'goproxy'
  const own = env?.GOPROXY
  const entries = splitList(go.get('GOPROXY') ?? '')
  if (own === undefined) return skip(id, 'the node has no local port yet')
  const at = entries.findIndex((entry) => sameUrl(entry, own))
  const byHand = setLine(shell, { GOPROXY: own })
  const all = shell.GOPROXY ? 'eval "$(modmesh env --shell sh)"' : 'eval "$(modmesh env)"'
  // With a path secret the line is for this user's eyes only, and what doctor says is shown around.
  const fix = hideSecret(own) === own ? byHand : all
  if (at === 0) return ok(id, `go asks this node (${hideSecret(own)})`)
  if (at > 0) {
    const first = hideSecret(entries[0] ?? '')
    return warn('goproxy-order', `go asks ${first} before this node`, `${fix}   (or put it first)`)
  }
  const set = go.get('GOPROXY') ?? ''
  const isDefault = set === '' || set.startsWith('https://proxy.golang.org')
  const why = isDefault ? 'is not set' : `is ${entries.map(hideSecret).join(',')}`
  return fail(
    id,
    `GOPROXY ${why}: go does not ask this node`,
    fix === byHand ? `${all}   (${fix})` : fix,
  )
}

/** What matches GONOPROXY, or GOPRIVATE where that is unset, goes past every proxy. */
function checkNoProxy(go: GoVariables, facts: NodeFacts, shell: ShellEnv): Finding {
  const id = 'gonoproxy'
  const patterns = splitList(go.get('GONOPROXY') ?? '').filter((each) => each !== 'none')
  if (patterns.length === 0) return ok(id, 'no module path goes past the node')
  const globs = patterns.join(',')
  const why = go.get('GONOPROXY') === go.get('GOPRIVATE') ? 'GOPRIVATE' : 'GONOPROXY'
  const text = `go fetches ${globs} itself, past the node (${why})`
  const secret = splitList(go.get('GONOSUMDB') ?? '')
  const missing = patterns.filter((glob) => secret.includes(glob) && !facts.private.includes(glob))
  const all = [...facts.private, ...missing].join(',')
  const node = missing.length === 0 ? '' : `   (and start the node with --private ${all})`
  // GOPRIVATE may stay: it keeps them from the checksum database.
  return warn(id, text, `${setLine(shell, { GONOPROXY: 'none' })}${node}`)
}

function checkSumdb(go: GoVariables, facts: NodeFacts, shell: ShellEnv): readonly Finding[] {
  const name = (go.get('GOSUMDB') ?? '').split(' ', 1)[0] ?? ''
  const flags = (go.get('GOFLAGS') ?? '').split(' ')
  const isOff = name === 'off' || flags.includes('-insecure')
  const own = isOff ? sumdbOff(facts, shell) : sumdbName(name, facts, shell)
  return [own, checkNoSumdb(go, facts, shell)]
}

function sumdbOff({ sumdb }: NodeFacts, shell: ShellEnv): Finding {
  const id = 'gosumdb'
  if (sumdb === 'off') return note(id, 'neither go nor the node asks a checksum database')
  const text = 'GOSUMDB is off: go checks only what a go.sum names already'
  return warn(id, text, setLine(shell, { GOSUMDB: sumdb.split(' ', 1)[0] ?? '' }))
}

function sumdbName(go: string, { sumdb }: NodeFacts, shell: ShellEnv): Finding {
  const id = 'gosumdb'
  const node = sumdb.split(' ', 1)[0] ?? ''
  if (node === 'off') {
    const text = 'the node has no checksum database: nothing goes to or comes from peers'
    return warn(id, text, 'start the node without --sumdb off')
  }
  const nameOf = (text: string): string => text.split('+', 1)[0] ?? ''
  if (nameOf(go) === nameOf(node))
    return ok(id, `go checks against ${nameOf(node)}, as the node does`)
  const text = `go checks against ${nameOf(go)}, the node against ${nameOf(node)}`
  return warn(id, text, setLine(shell, { GOSUMDB: node }))
}

/** Paths that one of the two takes for private and the other does not. */
function checkNoSumdb(go: GoVariables, facts: NodeFacts, shell: ShellEnv): Finding {
  const id = 'gonosumdb'
  const own = splitList(go.get('GONOSUMDB') ?? '')
  const goOnly = own.filter((glob) => !facts.private.includes(glob))
  const nodeOnly = facts.private.filter((glob) => !own.includes(glob))
  if (nodeOnly.length > 0) {
    const text = `${nodeOnly.join(',')} is private to the node, and go looks it up at the checksum database`
    return warn(id, text, setLine(shell, { GONOSUMDB: [...own, ...nodeOnly].join(',') }))
  }
  if (goOnly.length > 0) {
    const globs = goOnly.join(',')
    const text = `go takes ${globs} for private; the node looks it up at the checksum database`
    return warn(
      id,
      text,
      `start the node with --private ${[...facts.private, ...goOnly].join(',')}`,
    )
  }
  return ok(id, 'go and the node agree what is private')
}

function checkFlags(go: GoVariables, shell: ShellEnv): readonly Finding[] {
  const flags = (go.get('GOFLAGS') ?? '').split(' ').filter((flag) => flag !== '')
  const found: Finding[] = []
  if (flags.includes('-mod=vendor')) {
    const text = 'GOFLAGS has -mod=vendor: go builds from vendor/ and asks nobody'
    found.push(warn('goflags', text, dropFlagLine(shell, flags, '-mod=vendor')))
  }
  if (flags.includes('-mod=mod')) {
    const text =
      'GOFLAGS has -mod=mod: go may change go.mod, and ask for versions that are not held'
    found.push(note('goflags-mod', text, dropFlagLine(shell, flags, '-mod=mod')))
  }
  if (flags.includes('-modcacherw')) {
    const text =
      'GOFLAGS has -modcacherw: what was adopted can be written to, and is hashed again then'
    found.push(note('goflags-modcacherw', text))
  }
  return found.length > 0 ? found : [ok('goflags', 'nothing in GOFLAGS keeps go from the node')]
}

/** Items between commas and bars, as in GOPROXY and GOPRIVATE. */
function splitList(text: string): readonly string[] {
  return text
    .replaceAll('|', ',')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

function sameUrl(a: string, b: string): boolean {
  const plain = (text: string): string => {
    const url = URL.parse(text)
    if (url === null) return text
    // Both are this host; a port says which program.
    const host = ['localhost', '[::1]'].includes(url.hostname) ? '127.0.0.1' : url.hostname
    return `${url.protocol}//${host}:${url.port}${url.pathname.replace(/\/$/u, '')}`
  }
  return plain(a) === plain(b)
}

/** A URL without what may be a secret: user info and path. */
function hideSecret(text: string): string {
  const url = URL.parse(text)
  return url === null ? text : `${url.protocol}//${url.host}`
}

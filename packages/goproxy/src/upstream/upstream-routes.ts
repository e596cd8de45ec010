import { type ModulePath, matchesPatterns, type Patterns, parsePatterns } from '@modmesh/module'
import { InvalidProxyListError } from '../errors.ts'
import { displayEntry, type ProxyList, parseProxyList } from './proxy-list.ts'

/** The upstreams of some module paths, instead of the default list. */
export interface UpstreamRoute {
  /** As written. */
  readonly globs: string
  readonly patterns: Patterns
  readonly list: ProxyList
}

/** Who is asked for what: the first route whose globs match a path, else the default list. */
export interface UpstreamRoutes {
  readonly routes: readonly UpstreamRoute[]
  /** Also the way to the checksum database, whatever the routes say. */
  readonly defaultList: ProxyList
}

/**
 * Parses one GOPROXY list and any number of `GLOBS=LIST` routes, separated by `;`; globs as in GOPRIVATE.
 * `otherwise` is the default list when only routes are given. Throws InvalidProxyListError, never with a password.
 */
export function parseUpstreamRoutes(
  text: string,
  options: { readonly otherwise: string },
): UpstreamRoutes {
  const routes: UpstreamRoute[] = []
  let defaultList: ProxyList | undefined
  for (const item of text.split(';').map((part) => part.trim())) {
    if (item === '') continue
    const route = parseRoute(item)
    if (route !== undefined) routes.push(route)
    else if (defaultList === undefined) defaultList = parseProxyList(item)
    else throw new InvalidProxyListError('two default lists of upstreams; a route is GLOBS=LIST')
  }
  if (defaultList === undefined && routes.length === 0) parseProxyList('')
  return { routes, defaultList: defaultList ?? parseProxyList(options.otherwise) }
}

/** The list that a module path goes by. */
export function listFor({ routes, defaultList }: UpstreamRoutes, path: ModulePath): ProxyList {
  return routeFor(routes, path)?.list ?? defaultList
}

/** The first route that matches a module path. */
export function routeFor(
  routes: readonly UpstreamRoute[],
  path: ModulePath,
): UpstreamRoute | undefined {
  return routes.find(({ patterns }) => matchesPatterns(patterns, path))
}

/** Writes the upstreams for people: origins only, since base paths and user info may be secrets. */
export function displayUpstreams({ routes, defaultList }: UpstreamRoutes): string {
  const shown = routes.map(({ globs, list }) => `${globs}=${displayList(list)}`)
  return [displayList(defaultList), ...shown].join('; ')
}

function parseRoute(item: string): UpstreamRoute | undefined {
  const at = item.indexOf('=')
  if (at < 0 || item.slice(0, at).includes('://')) return undefined
  const globs = item.slice(0, at).trim()
  if (globs === '' || !Array.from(globs).every(isGlobCharacter)) {
    throw new InvalidProxyListError(
      'a route of upstreams is GLOBS=LIST, with globs as in GOPRIVATE',
    )
  }
  return { globs, patterns: parsePatterns(globs), list: parseProxyList(item.slice(at + 1)) }
}

/** What a module path may hold, and the signs of path.Match. */
function isGlobCharacter(char: string): boolean {
  const isLetter = (char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z')
  return isLetter || (char >= '0' && char <= '9') || '-._~/+!*?[]^\\,'.includes(char)
}

function displayList({ entries }: ProxyList): string {
  if (entries.length === 0) return 'off'
  let text = ''
  for (const [i, entry] of entries.entries()) {
    text += entry.kind === 'direct' ? 'direct' : displayEntry(entry)
    if (i < entries.length - 1) text += entry.fallThrough === 'any' ? '|' : ','
  }
  return text
}

import { hostname } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import {
  ageValue,
  choiceValue,
  countValue,
  listenValue,
  localListenValue,
  nameValue,
  pathSecretValue,
  peerAddressValue,
  policyRuleValue,
  secondsValue,
  sizeValue,
  switchValue,
  textValue,
  urlValue,
  type ValueSchema,
} from './option-values.ts'
import type { Option, OptionName, Settings, TicketSource } from './settings.ts'

/** Who is asked where nothing else is said. */
export const defaultUpstream = 'https://proxy.golang.org'

/** The one table behind flags, environment variables and the configuration file (design, section 7). */
export const options: { readonly [K in OptionName]: Option<Settings[K]> } = {
  dir: {
    group: 'This node',
    kind: 'path',
    placeholder: 'DIR',
    help: 'where everything is kept: store, key, mesh, control socket',
    schema: textValue,
    fallback: ({ env, home }) =>
      join(env.XDG_DATA_HOME || join(home, '.local', 'share'), 'modmesh'),
    fallbackText: '~/.local/share/modmesh',
  },
  config: {
    group: 'This node',
    kind: 'path',
    placeholder: 'FILE',
    help: 'configuration file, TOML; its keys are the names of these flags',
    schema: textValue,
    notInFile: true,
    fallback: () => undefined,
    fallbackText: '~/.config/modmesh/config.toml, if it exists',
  },
  log: {
    group: 'This node',
    kind: 'text',
    placeholder: 'LEVEL',
    help: 'debug, info, warn, error or silent; JSON lines on stderr',
    schema: choiceValue(['debug', 'info', 'warn', 'error', 'silent']),
    fallback: () => 'info',
    fallbackText: 'info',
  },
  maxSize: {
    group: 'This node',
    kind: 'text',
    placeholder: 'SIZE',
    help: 'how much the zips may take: 20GB, 500MiB; the longest unused ones go first, pinned ones stay',
    schema: sizeValue,
    fallback: () => undefined,
    fallbackText: 'none: what the disk takes',
  },
  scrub: {
    group: 'This node',
    kind: 'text',
    placeholder: 'TIME',
    help: 'how often every zip is hashed again in the background: 12h, 7d; 0 for never',
    schema: ageValue,
    fallback: () => 7 * 86_400_000,
    fallbackText: '7d',
  },
  listen: {
    group: 'Local port',
    kind: 'list',
    placeholder: 'ADDRESS',
    help: 'where `go` is served: HOST:PORT, port 0 picks a free one, or unix:/PATH; repeatable',
    schema: v.pipe(
      listValue(localListenValue),
      v.check((all) => all.length > 0, 'at least one address'),
    ),
    fallback: () => ['127.0.0.1:4770'],
    fallbackText: '127.0.0.1:4770',
  },
  host: {
    group: 'Local port',
    kind: 'list',
    placeholder: 'NAME',
    help: 'a further name allowed in the Host header; repeatable',
    schema: listValue(textValue),
    fallback: () => [],
  },
  pathSecret: {
    group: 'Local port',
    kind: 'text',
    placeholder: 'SECRET',
    help: 'serve under /SECRET/ only, so that other programs of this host cannot ask',
    schema: pathSecretValue,
    secret: true,
    fallback: () => undefined,
  },
  upstream: {
    group: 'Sources',
    kind: 'routes',
    placeholder: 'LIST',
    help: 'upstream proxies in GOPROXY syntax, `off` for none; repeatable with GLOBS=LIST for some module paths',
    schema: v.string(),
    secret: true,
    fallback: () => defaultUpstream,
    fallbackText: defaultUpstream,
  },
  sumdb: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'DATABASE',
    help: 'checksum database in GOSUMDB syntax: `name`, `name+hash+key`, `name+hash+key URL`, or `off`',
    schema: v.string(),
    fallback: () => 'sum.golang.org',
    fallbackText: 'sum.golang.org',
  },
  s3: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'URL',
    help: 'bucket shared by nodes: s3://BUCKET/PREFIX[?endpoint=&region=&style=&access=&profile=]',
    schema: textValue,
    secret: true,
    fallback: () => undefined,
  },
  private: {
    group: 'Sources',
    kind: 'list',
    placeholder: 'GLOBS',
    help: 'module paths as in GOPRIVATE: never looked up at the checksum database, never announced',
    schema: listValue(textValue),
    fallback: () => [],
  },
  noproxy: {
    group: 'Sources',
    kind: 'list',
    placeholder: 'GLOBS',
    help: 'module paths never asked of an upstream proxy; empty for none',
    schema: listValue(textValue),
    emptyEnv: true,
    fallback: () => undefined,
    fallbackText: 'as --private',
  },
  ttl: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'SECONDS',
    help: 'how long version lists, @latest and branch answers are kept',
    schema: secondsValue(0),
    fallback: () => 60,
    fallbackText: '60',
  },
  negativeTtl: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'SECONDS',
    help: 'how long "not found" of upstream is kept',
    schema: secondsValue(0),
    fallback: () => 10,
    fallbackText: '10',
  },
  fetchTimeout: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'SECONDS',
    help: 'longest wait of one request for outside answers, retries and database included',
    schema: secondsValue(0.1),
    fallback: () => 300,
    fallbackText: '300',
  },
  goauth: {
    group: 'Sources',
    kind: 'text',
    placeholder: 'COMMANDS',
    help: 'credentials for https upstreams in GOAUTH syntax: `netrc`, `netrc FILE`, `git DIR`, a command, or `off`',
    schema: textValue,
    secret: true,
    fallback: ({ env }) => env.GOAUTH || 'netrc',
    fallbackText: 'the variable GOAUTH, or netrc',
  },
  caFile: {
    group: 'Sources',
    kind: 'path',
    placeholder: 'FILE',
    help: 'certificates (PEM) to trust for upstream beside the system’s',
    schema: textValue,
    fallback: () => undefined,
  },
  offline: {
    group: 'Sources',
    kind: 'switch',
    placeholder: 'on|off',
    help: 'ask no upstream and no database; peers are still used',
    schema: switchValue,
    fallback: () => false,
    fallbackText: 'off',
  },
  policy: {
    group: 'Policy',
    kind: 'rules',
    placeholder: 'RULE',
    help: '`allow|deny GLOBS[@VERSIONS] [min-age=AGE] [# REASON]`; the first rule that matches decides; repeatable',
    schema: listValue(policyRuleValue, ';'),
    fallback: () => [],
    fallbackText: 'everything is allowed',
  },
  minAge: {
    group: 'Policy',
    kind: 'text',
    placeholder: 'AGE',
    help: 'how old a version must be to be given to `go`: 12h, 7d',
    schema: ageValue,
    fallback: () => 0,
    fallbackText: '0',
  },
  validator: {
    group: 'Policy',
    kind: 'text',
    placeholder: 'URL',
    help: 'is sent each module version that is asked for (POST, JSON): 200 allows, 403 denies with its text',
    schema: urlValue,
    secret: true,
    fallback: () => undefined,
  },
  validatorFailure: {
    group: 'Policy',
    kind: 'text',
    placeholder: 'MODE',
    help: 'when the validator does not answer: open allows everything, closed nothing',
    schema: choiceValue(['open', 'closed']),
    fallback: () => 'closed',
    fallbackText: 'closed',
  },
  join: {
    group: 'Mesh',
    kind: 'path',
    placeholder: 'FILE',
    help: 'join a mesh with the ticket in FILE, `-` for standard input; MODMESH_JOIN is the ticket itself',
    schema: v.pipe(
      textValue,
      v.transform(
        (path): TicketSource => (path === '-' ? { kind: 'stdin' } : { kind: 'file', path }),
      ),
    ),
    envSchema: v.pipe(
      textValue,
      v.transform((ticket): TicketSource => ({ kind: 'ticket', ticket })),
    ),
    secret: true,
    fallback: () => undefined,
  },
  meshListen: {
    group: 'Mesh',
    kind: 'text',
    placeholder: 'HOST:PORT',
    help: 'where peers connect',
    schema: listenValue,
    fallback: () => '0.0.0.0:4771',
    fallbackText: '0.0.0.0:4771',
  },
  site: {
    group: 'Mesh',
    kind: 'text',
    placeholder: 'NAME',
    help: 'the site of this node; a site in the ticket wins',
    schema: nameValue,
    fallback: () => 'default',
    fallbackText: 'default',
  },
  name: {
    group: 'Mesh',
    kind: 'text',
    placeholder: 'NAME',
    help: 'what others call this node',
    schema: nameValue,
    fallback: hostNameAsName,
    fallbackText: 'the host name',
  },
  peer: {
    group: 'Mesh',
    kind: 'list',
    placeholder: 'ADDRESS',
    help: 'HOST:PORT or multiaddr of a peer to stay connected to; repeatable',
    schema: listValue(peerAddressValue),
    fallback: () => [],
  },
  mdns: {
    group: 'Mesh',
    kind: 'switch',
    placeholder: 'on|off',
    help: 'find members on the local network by multicast',
    schema: switchValue,
    fallback: () => true,
    fallbackText: 'on',
  },
  inventory: {
    group: 'Mesh',
    kind: 'switch',
    placeholder: 'on|off',
    help: 'exchange lists of what is held with connected peers',
    schema: switchValue,
    fallback: () => true,
    fallbackText: 'on',
  },
  connect: {
    group: 'Mesh',
    kind: 'text',
    placeholder: 'all|configured',
    help: 'whom to connect to: every member heard of, or only --peer',
    schema: choiceValue(['all', 'configured']),
    fallback: () => 'all',
    fallbackText: 'all',
  },
  maxConnections: {
    group: 'Mesh',
    kind: 'text',
    placeholder: 'N',
    help: 'most connections to peers at a time',
    schema: countValue(1, 10_000),
    fallback: () => 300,
    fallbackText: '300',
  },
}

/** The names of all options, in the order of the table. */
export const optionNames: readonly OptionName[] = Object.keys(options) as OptionName[]

/** The flag and configuration key of an option: `meshListen` is `mesh-listen`. */
export function flagName(name: OptionName): string {
  return Array.from(name, (c) => (c === c.toLowerCase() ? c : `-${c.toLowerCase()}`)).join('')
}

/** The environment variable of an option: `meshListen` is `MODMESH_MESH_LISTEN`. */
export function variableName(name: OptionName): string {
  return `MODMESH_${flagName(name).replaceAll('-', '_').toUpperCase()}`
}

function listValue<T>(item: ValueSchema<T>, joint = ','): ValueSchema<readonly T[]> {
  return v.pipe(
    v.string(),
    v.transform((text) =>
      text
        .split(joint)
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    ),
    v.array(item),
  )
}

function hostNameAsName(): string {
  const allowed = Array.from(hostname(), (c) => (v.is(nameValue, c) ? c : '-')).join('')
  return allowed.slice(0, 64) || 'node'
}

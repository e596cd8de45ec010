import { hostname } from 'node:os'
import * as v from 'valibot'
import {
  choiceValue,
  countValue,
  listenValue,
  listValue,
  nameValue,
  peerAddressValue,
  siteLinkValue,
  switchValue,
  textValue,
} from './option-values.ts'
import type { OptionTable, TicketSource } from './settings.ts'

/** Options about the mesh. */
export const meshOptions: OptionTable<
  | 'join'
  | 'meshListen'
  | 'site'
  | 'name'
  | 'peer'
  | 'mdns'
  | 'inventory'
  | 'sharePrivate'
  | 'connect'
  | 'maxConnections'
  | 'siteLink'
  | 'seedFrom'
> = {
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
    help: 'HOST:PORT or multiaddr of a peer to stay connected to, a name for all its addresses; repeatable',
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
  sharePrivate: {
    group: 'Mesh',
    kind: 'switch',
    placeholder: 'on|off',
    help: 'give private modules that a publisher signed to members with the role private, and take them from those',
    schema: switchValue,
    fallback: () => false,
    fallbackText: 'off',
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
    help: 'members to stay connected to; lookups open more for a moment',
    schema: countValue(1, 10_000),
    fallback: () => 300,
    fallbackText: '300',
  },
  siteLink: {
    group: 'Mesh',
    kind: 'rules',
    placeholder: 'SITE=WORDS',
    help: 'what may cross the link to a site, `*` for any: open, metered, paused, forbidden, RATE, up:RATE, down:RATE, each also as HH:MM-HH:MM=WORD; repeatable',
    schema: listValue(siteLinkValue, ';'),
    fallback: () => [],
    fallbackText: 'everything',
  },
  seedFrom: {
    group: 'Mesh',
    kind: 'list',
    placeholder: 'MEMBER',
    help: 'names or sites of members whose stock this site takes when they appear; repeatable',
    schema: listValue(nameValue),
    fallback: () => [],
    fallbackText: 'nobody',
  },
}

function hostNameAsName(): string {
  const allowed = Array.from(hostname(), (c) => (v.is(nameValue, c) ? c : '-')).join('')
  return allowed.slice(0, 64) || 'node'
}

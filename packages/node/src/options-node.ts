import { join } from 'node:path'
import * as v from 'valibot'
import {
  ageValue,
  choiceValue,
  listValue,
  localListenValue,
  pathSecretValue,
  sizeValue,
  textValue,
} from './option-values.ts'
import type { OptionTable } from './settings.ts'

/** Options about this node and where `go` is served. */
export const nodeOptions: OptionTable<
  'dir' | 'config' | 'log' | 'maxSize' | 'scrub' | 'listen' | 'host' | 'pathSecret'
> = {
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
}

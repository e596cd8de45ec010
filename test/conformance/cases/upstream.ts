import type { Fault } from '../../support/fake-upstream.ts'
import {
  ask,
  asked,
  broken,
  type ConformanceCase,
  down,
  eventually,
  forget,
  heal,
  type Step,
  type Subject,
  up,
} from '../case.ts'

const shown = { kind: 'shown' } as const

/** Every kind of answer, and what each must do while upstream is in trouble, and after. */
const kinds: readonly (readonly [string, string])[] = [
  ['.info', '/$m/@v/v1.0.0.info'],
  ['.mod', '/$m/@v/v1.0.0.mod'],
  ['.zip', '/$m/@v/v1.0.0.zip'],
  ['list', '/$m/@v/list'],
  ['@latest', '/$m/v2/@latest'],
  ['branch', '/$m/@v/main.info'],
]

function whileBroken(name: string, fault: Fault): ConformanceCase {
  const asks = kinds.flatMap(([, path]): Step[] => [
    ask(path, { status: 'refused', body: shown, withinMs: 8_000 }),
  ])
  const after = kinds.map(([, path]) => eventually(path, 'ok'))
  return {
    name: `upstream's ${name} is never told as absent, and forgotten when it ends`,
    steps: [broken('/$m*', fault), ...asks, heal, ...after],
  }
}

const statuses = [400, 401, 403, 429, 500, 501, 502, 503, 504]

const garbage: readonly (readonly [string, Fault])[] = [
  ['login page', { kind: 'html' }],
  ['junk', { kind: 'bytes', bytes: Buffer.from('\u0000\u0001junk') }],
]

/** Trouble of upstream: never "absent", never remembered, never waited for without end. */
export const upstream: Subject = {
  name: 'upstream in trouble',
  cases: [
    ...statuses.map((status) => whileBroken(`status ${status}`, { kind: 'status', status })),
    whileBroken('closing of the connection', { kind: 'cut', afterBytes: 0 }),
    whileBroken('cutting of the body', { kind: 'cut', afterBytes: 10 }),
    whileBroken('promise of more bytes than it sends', { kind: 'wrong-length', by: 10 }),
    ...garbage.flatMap(([name, fault]) =>
      kinds
        .filter(([kind]) => kind !== 'list')
        .map(([kind, path]) => ({
          name: `a ${name} with status 200 is no ${kind}`,
          steps: [broken(path, fault), ask(path, 'refused'), heal, eventually(path, 'ok')],
        })),
    ),
    ...kinds.map(([kind, path]) => ({
      name: `an upstream that never answers a ${kind} is given up in bounded time, and asked again`,
      steps: [
        broken(path, { kind: 'stall' }),
        ask(path, { status: 'refused', withinMs: 10_000 }),
        heal,
        eventually(path, { status: 'ok', withinMs: 5_000 }),
      ],
    })),
    {
      name: 'an upstream that stops within a zip is given up in bounded time, and asked again',
      steps: [
        broken('/$m/@v/v1.0.0.zip', { kind: 'stall', afterBytes: 50 }),
        ask('/$m/@v/v1.0.0.zip', { status: 'refused', withinMs: 10_000 }),
        heal,
        eventually('/$m/@v/v1.0.0.zip', {
          status: 'ok',
          body: { kind: 'upstream' },
          withinMs: 5_000,
        }),
      ],
    },
    {
      name: 'an upstream that refuses connections is trouble at once, and asked again when it is back',
      steps: [
        down,
        ...kinds.map(([, path]) => ask(path, { status: 'trouble', body: shown, withinMs: 5_000 })),
        up,
        { kind: 'until', path: '/$m/@v/v1.0.0.zip', expect: { status: 'ok' } },
        { kind: 'until', path: '/$m/@v/list', expect: { status: 'ok' } },
      ],
    },
    {
      name: 'what is held is served while upstream refuses connections',
      steps: [
        ask('/$m/@v/v1.0.0.info', 'ok'),
        ask('/$m/@v/v1.0.0.mod', 'ok'),
        ask('/$m/@v/v1.0.0.zip', 'ok'),
        down,
        ask('/$m/@v/v1.0.0.info', { status: 'ok', withinMs: 2_000 }),
        ask('/$m/@v/v1.0.0.mod', { status: 'ok', withinMs: 2_000 }),
        ask('/$m/@v/v1.0.0.zip', { status: 'ok', body: { kind: 'upstream' }, withinMs: 2_000 }),
      ],
    },
    {
      name: 'a zip that upstream cuts once is continued',
      steps: [
        broken('/$m/@v/v1.0.0.zip', { kind: 'cut', afterBytes: 60 }, 1),
        ask('/$m/@v/v1.0.0.zip', { status: 'ok', body: { kind: 'upstream' } }),
      ],
    },
    {
      name: 'one failure of upstream is tried again before it is told',
      steps: [
        broken('/$m/@v/v1.0.0.info', { kind: 'status', status: 503 }, 1),
        ask('/$m/@v/v1.0.0.info', 'ok'),
      ],
    },
    {
      name: 'a redirect to another host is followed',
      steps: [
        broken('/$m/@v/v1.0.0.zip', { kind: 'redirect', to: '$second/$m/@v/v1.0.0.zip' }),
        ask('/$m/@v/v1.0.0.zip', { status: 'ok', body: { kind: 'upstream' } }),
      ],
    },
    {
      name: 'redirects in a circle are trouble',
      steps: [
        broken('/$m/@v/v1.0.0.zip', { kind: 'redirect', to: '/$m/@v/v1.0.0.zip' }),
        ask('/$m/@v/v1.0.0.zip', { status: 'refused', withinMs: 8_000 }),
      ],
    },
    {
      name: 'an error page of upstream is not passed on as it is',
      steps: [
        broken('/$m/@v/v1.0.0.info', {
          kind: 'status',
          status: 500,
          text: '\u001b[31mred\u001b[0m <b>evil</b>\u0007',
        }),
        ask('/$m/@v/v1.0.0.info', { status: 'trouble', body: shown }),
      ],
    },
    {
      name: 'trouble is told with what was asked and what came',
      steps: [
        broken('/$m/@v/v1.0.0.zip', { kind: 'status', status: 503 }),
        ask('/$m/@v/v1.0.0.zip', { status: 'trouble', body: { kind: 'shown', texts: ['503'] } }),
      ],
    },
  ],
}

function list(name: string, text: string, steps: readonly Step[]): ConformanceCase {
  return { name, server: { list: text }, steps }
}

/** The first is not the one that the checksum database is beside. */
function failingFirst(name: string, fault: Fault, steps: readonly Step[]): ConformanceCase {
  const failing: Step = { kind: 'break', on: 'second', path: '/$m/*', fault }
  return list(name, '$second|$upstream', [failing, ...steps])
}

const info = '/$m/@v/v1.0.0.info'
const zip = '/$m/@v/v1.0.0.zip'

/** What `,` and `|` mean between upstreams. */
export const lists: Subject = {
  name: 'lists of upstreams',
  cases: [
    ...[404, 410].map((status) =>
      list(`after a comma the next is asked when the first says ${status}`, '$upstream,$second', [
        broken('/$m/*', { kind: 'status', status }),
        ask(info, 'ok'),
        ask(zip, { status: 'ok', body: { kind: 'upstream' } }),
      ]),
    ),
    ...[401, 403, 429, 500, 503].map((status) =>
      list(
        `after a comma nobody else is asked when the first says ${status}`,
        '$upstream,$second',
        [
          broken('/$m/*', { kind: 'status', status }),
          ask(info, 'refused'),
          ask(zip, 'refused'),
          ask('/$m/@v/list', 'refused'),
          { kind: 'asked', on: 'second', path: '/$m/*', atMost: 0 },
        ],
      ),
    ),
    ...[404, 410, 403, 429, 500, 503].map((status) =>
      failingFirst(
        `after a bar the next is asked when the first says ${status}`,
        { kind: 'status', status },
        [
          ask(info, 'ok'),
          ask(zip, { status: 'ok', body: { kind: 'upstream' } }),
          ask('/$m/@v/list', 'ok'),
        ],
      ),
    ),
    list(
      'after a comma nobody else is asked when the first refuses connections',
      '$dead,$upstream',
      [ask(info, 'trouble'), ask(zip, 'trouble'), asked('/$m/*', 0)],
    ),
    list('after a bar the next is asked when the first refuses connections', '$dead|$upstream', [
      ask(info, 'ok'),
      ask(zip, { status: 'ok', body: { kind: 'upstream' } }),
    ]),
    ...[info, zip, '/$m/@v/v1.0.0.mod', '/$m/@v/list', '/$m/@latest'].map((path) =>
      failingFirst(
        `after a bar the next is asked for ${path.slice(path.indexOf('@'))} when the first never answers`,
        { kind: 'stall' },
        [ask(path, { status: 'ok', withinMs: 10_000 })],
      ),
    ),
    failingFirst(
      'after a bar the next is asked when the first stops within a zip',
      { kind: 'stall', afterBytes: 100 },
      [ask(zip, { status: 'ok', body: { kind: 'upstream' }, withinMs: 10_000 })],
    ),
    list('what none of a list has is absent', '$upstream,$second', [
      ask('/$x/@v/v1.0.0.info', 'absent'),
      ask('/$x/@v/list', 'absent'),
    ]),
    list('after a bar trouble and absence together are trouble', '$upstream|$second', [
      { kind: 'break', on: 'upstream', path: '/$m/*', fault: { kind: 'status', status: 500 } },
      { kind: 'break', on: 'second', path: '/$m/*', fault: { kind: 'status', status: 404 } },
      ask(info, 'refused'),
      ask(zip, 'refused'),
    ]),
    list('after a comma absence and then trouble are trouble', '$upstream,$second', [
      { kind: 'break', on: 'upstream', path: '/$m/*', fault: { kind: 'status', status: 404 } },
      { kind: 'break', on: 'second', path: '/$m/*', fault: { kind: 'status', status: 500 } },
      ask(info, 'refused'),
      ask(zip, 'refused'),
    ]),
    list('an altered zip is not saved by the next of the list unseen', '$upstream,$second', [
      broken(zip, { kind: 'corrupt', at: 70 }),
      ask(zip, 'refused'),
      heal,
      eventually(zip, { status: 'ok', body: { kind: 'upstream' } }),
    ]),
    list('what comes after off is never asked', 'off,$upstream', [
      ask(info, 'absent'),
      asked('/$m/*', 0),
    ]),
    list('empty entries and blanks do not matter', ' $upstream , ,', [ask(info, 'ok'), forget]),
  ],
}

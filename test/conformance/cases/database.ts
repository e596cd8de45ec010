import {
  ask,
  asked,
  broken,
  type ConformanceCase,
  type DatabaseFault,
  eventually,
  forget,
  heal,
  database as misbehaves,
  restart,
  type Subject,
} from '../case.ts'

const lookup = '$sumdb/lookup/$m@v1.0.0'
const other = '$sumdb/lookup/$m@v1.1.0'
const zip = '/$m/@v/v1.0.0.zip'
const known = { status: 'ok', body: { kind: 'lookup', module: '$m@v1.0.0' } } as const

/** The checksum database through the server. */
export const database: Subject = {
  name: 'the checksum database',
  cases: [
    { name: 'a configured database is supported', steps: [ask('$sumdb/supported', 'ok')] },
    {
      name: 'another database is not, and nobody is asked for it',
      steps: [
        ask('/sumdb/sum.other.test/supported', 'absent'),
        ask('/sumdb/sum.other.test/latest', 'absent'),
        asked('/sumdb/sum.other.test/*', 0),
      ],
    },
    {
      name: 'a database that cannot be had is not promised',
      steps: [misbehaves({ kind: 'down' }), ask('$sumdb/supported', 'absent')],
    },
    {
      name: 'a database that was seen once is promised also when it is gone',
      steps: [
        ask('$sumdb/latest', 'ok'),
        misbehaves({ kind: 'down' }),
        ask('$sumdb/supported', 'ok'),
      ],
    },
    {
      name: 'latest is a head that the database signed',
      steps: [ask('$sumdb/latest', { status: 'ok', body: { kind: 'head' } })],
    },
    {
      name: 'a lookup is the record under a head that the database signed, as plain text',
      steps: [
        ask(lookup, { ...known, headers: { 'content-type': { is: 'text/plain; charset=utf-8' } } }),
      ],
    },
    {
      name: 'a lookup is the same with a raw and an escaped !',
      modules: [{ path: 'example.com/Raw', version: 'v1.0.0' }],
      steps: [
        ask('$sumdb/lookup/example.com/!raw@v1.0.0', {
          status: 'ok',
          body: { kind: 'lookup', module: 'example.com/Raw@v1.0.0' },
        }),
        ask('$sumdb/lookup/example.com/%21raw@v1.0.0', {
          status: 'ok',
          body: { kind: 'lookup', module: 'example.com/Raw@v1.0.0' },
        }),
        asked('$sumdb/lookup/*', 1),
      ],
    },
    {
      name: 'a lookup that was answered once is not asked of the database again',
      steps: [ask(lookup, 'ok'), forget, ask(lookup, known), asked('$sumdb/*', 0)],
    },
    {
      name: 'a lookup after the zip is not asked of the database again',
      steps: [ask(zip, 'ok'), forget, ask(lookup, known), asked('$sumdb/*', 0)],
    },
    {
      name: 'a second module beside the first costs one request to the database',
      steps: [ask(lookup, 'ok'), forget, ask(other, 'ok'), asked('$sumdb/*', 1, 1)],
    },
    {
      name: 'a lookup of what the log does not have is absent',
      steps: [ask('$sumdb/lookup/$x@v1.0.0', { status: 'absent', body: { kind: 'shown' } })],
    },
    {
      name: 'a lookup of a private module is refused and goes to nobody',
      steps: [
        ask('$sumdb/lookup/$p@v1.0.0', { status: 'error', body: { kind: 'shown' } }),
        asked('$sumdb/lookup/*', 0),
      ],
    },
    {
      name: 'a full tile is served as it is',
      steps: [
        ask('$sumdb/tile/8/0/000', {
          status: 'ok',
          headers: { 'content-type': { is: 'application/octet-stream' } },
          body: { kind: 'tile', path: 'tile/8/0/000' },
        }),
      ],
    },
    {
      name: 'a narrower tile is cut from the full one, and the database is not asked for it',
      steps: [
        ask('$sumdb/tile/8/0/000', 'ok'),
        forget,
        ...[1, 5, 128, 255].map((width) =>
          ask(`$sumdb/tile/8/0/000.p/${width}`, {
            status: 'ok',
            body: { kind: 'tile', path: `tile/8/0/000.p/${width}` } as const,
          }),
        ),
        asked('$sumdb/tile/*', 0),
      ],
    },
    {
      name: 'a tile that a lookup needed is not asked of the database again',
      steps: [
        ask(lookup, 'ok'),
        forget,
        ask('$sumdb/tile/8/0/000', 'ok'),
        asked('$sumdb/tile/*', 0),
      ],
    },
    {
      name: 'a tile that the log does not have yet is an error',
      steps: [ask('$sumdb/tile/8/0/999', 'error')],
    },
    {
      name: 'a partial tile that the database no longer has is cut from the full one',
      steps: [
        misbehaves({ kind: 'missing', tile: 'tile/8/0/000.p/7' }),
        ask('$sumdb/tile/8/0/000.p/7', {
          status: 'ok',
          body: { kind: 'tile', path: 'tile/8/0/000.p/7' },
        }),
      ],
    },
    {
      name: 'latest never goes back',
      steps: [
        ask(lookup, 'ok'),
        ask('$sumdb/latest', { status: 'ok', body: { kind: 'head', atLeast: 260 } }),
        misbehaves({ kind: 'rollback', size: 100 }),
        ask('$sumdb/latest', { status: 'ok', body: { kind: 'head', atLeast: 260 } }),
        ask(other, { status: 'ok', body: { kind: 'lookup', module: '$m@v1.1.0' } }),
        restart,
        ask('$sumdb/latest', { status: 'ok', body: { kind: 'head', atLeast: 260 } }),
      ],
    },
    {
      name: 'latest goes forward with a lookup of something newer',
      steps: [
        ask(lookup, 'ok'),
        { kind: 'grow', records: 1_000 },
        { kind: 'publish', module: { path: '$m/new', version: 'v1.0.0' } },
        ask('$sumdb/lookup/$m/new@v1.0.0', {
          status: 'ok',
          body: { kind: 'lookup', module: '$m/new@v1.0.0' },
        }),
        ask('$sumdb/latest', { status: 'ok', body: { kind: 'head', atLeast: 1_260 } }),
      ],
    },
    {
      name: 'what was looked up once is answered after a restart while the database is gone',
      steps: [
        ask(lookup, 'ok'),
        ask(zip, 'ok'),
        misbehaves({ kind: 'down' }),
        restart,
        ask('$sumdb/supported', 'ok'),
        ask(lookup, known),
        ask(zip, { status: 'ok', body: { kind: 'upstream' } }),
        ask('$sumdb/latest', { status: 'ok', body: { kind: 'head' } }),
        ask(other, 'trouble'),
      ],
    },
  ],
}

function inTrouble(name: string, ...faults: ConformanceCase['steps']): ConformanceCase {
  return {
    name: `${name} is trouble and never absence, and forgotten when it ends`,
    steps: [
      ...faults,
      ask(lookup, { status: 'refused', body: { kind: 'shown' }, withinMs: 10_000 }),
      ask(zip, { status: 'refused', withinMs: 10_000 }),
      heal,
      eventually(lookup, known),
      eventually(zip, { status: 'ok', body: { kind: 'upstream' } }),
    ],
  }
}

/** A lie is refused for what depends on it and forgotten with it; nothing of it is kept. */
function lie(name: string, fault: DatabaseFault): ConformanceCase {
  return {
    name: `${name} is refused, and forgotten when it ends`,
    steps: [
      misbehaves(fault),
      ask(lookup, 'refused'),
      ask(zip, 'refused'),
      ask('/$m/@v/v1.0.0.mod', 'refused'),
      ask(`/cached-only${zip}`, 'absent'),
      heal,
      eventually(lookup, known),
      eventually(zip, { status: 'ok', body: { kind: 'upstream' } }),
    ],
  }
}

const far = { before: 25_600, after: 44_400 }

/** The tiles between the first record of a case and the root, at some sizes of the log. */
const tilesOf: readonly (readonly [
  string,
  NonNullable<ConformanceCase['log']>,
  readonly string[],
])[] = [
  ['300', { before: 5, after: 286 }, ['0/000', '0/001', '1/000']],
  ['1,000', { before: 700, after: 291 }, ['0/002', '0/003', '1/000']],
  ['65,536', { before: 40_000, after: 25_527 }, ['0/156', '1/000']],
  ['70,000', far, ['0/100', '0/273', '1/000', '1/001', '2/000']],
  ['200,000', { before: 199_000, after: 991 }, ['0/777', '0/781', '1/003', '2/000']],
]

/** What the database does wrong. */
export const databaseFaults: Subject = {
  name: 'faults of the checksum database',
  cases: [
    inTrouble('a database that is gone', misbehaves({ kind: 'down' })),
    ...[429, 500, 503].map((status) =>
      inTrouble(`status ${status} of the database`, broken('$sumdb/*', { kind: 'status', status })),
    ),
    inTrouble('a database that never answers', broken('$sumdb/*', { kind: 'stall' })),
    inTrouble(
      'a database that closes the connection',
      broken('$sumdb/*', { kind: 'cut', afterBytes: 5 }),
    ),
    inTrouble('a login page in place of the database', broken('$sumdb/*', { kind: 'html' })),
    inTrouble('a lookup without tiles', broken('$sumdb/tile/*', { kind: 'status', status: 404 })),
    lie('a bad signature', { kind: 'bad-signature' }),
    lie("the signature of another database's name", { kind: 'other-name' }),
    lie('the signature of another key', { kind: 'other-key' }),
    lie('a record number that is another record', { kind: 'record-number', add: 1 }),
    lie('a record number beyond the tree', { kind: 'record-number', add: 100_000 }),
    lie('a line more in a record', { kind: 'extra-line', line: 'evil.test v1.0.0 h1:AAAA' }),
    lie('the record of another version', { kind: 'swap', asked: '$m@v1.0.0', given: '$m@v1.1.0' }),
    ...tilesOf.flatMap(([size, log, tiles]) =>
      tiles.map(
        (tile): ConformanceCase => ({
          ...lie(`one wrong bit in tile ${tile} of a log of ${size}`, {
            kind: 'flip',
            tile: `tile/8/${tile}`,
          }),
          log,
        }),
      ),
    ),
    ...[
      ['longer', 400],
      ['shorter', 90],
    ].map(
      ([what, size]): ConformanceCase => ({
        name: `a ${what} fork is refused, also after a restart, and what was proven before is served`,
        steps: [
          ask(lookup, 'ok'),
          ask(zip, 'ok'),
          misbehaves({ kind: 'fork', keep: 50, size: Number(size) }),
          ask(other, 'refused'),
          ask('/$m/@v/v1.1.0.zip', 'refused'),
          ask(lookup, known),
          ask(zip, { status: 'ok', body: { kind: 'upstream' } }),
          restart,
          ask(other, 'refused'),
          ask('/$m/@v/v1.1.0.zip', 'refused'),
          ask('/$m/@v/v1.1.0.mod', 'refused'),
          ask('$sumdb/supported', 'ok'),
          ask('$sumdb/latest', { status: 'ok', body: { kind: 'head', atLeast: 260 } }),
          ask(lookup, known),
          ask(zip, { status: 'ok', body: { kind: 'upstream' } }),
        ],
      }),
    ),
    {
      name: 'a fork is refused after a restart also when the true log is shown again',
      steps: [
        ask(lookup, 'ok'),
        misbehaves({ kind: 'fork', keep: 50, size: 400 }),
        ask(other, 'refused'),
        restart,
        misbehaves({ kind: 'mend' }),
        ask(other, 'refused'),
        ask('/$m/@v/v1.1.0.zip', 'refused'),
        ask(lookup, known),
      ],
    },
  ],
}

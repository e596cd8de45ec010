import {
  ask,
  asked,
  broken,
  burst,
  down,
  eventually,
  forget,
  restart,
  type Subject,
} from '../case.ts'

const versions = { kind: 'lines', lines: ['v1.0.0', 'v1.1.0'] } as const

/** Lists, what is newest, branches. */
export const mutable: Subject = {
  name: 'answers that change',
  cases: [
    {
      name: 'a list has one version a line, as plain text',
      steps: [
        ask('/$m/@v/list', {
          status: 'ok',
          headers: { 'content-type': { is: 'text/plain; charset=utf-8' } },
          body: versions,
        }),
      ],
    },
    {
      name: 'a list without versions is empty and not absent',
      steps: [
        broken('/$m/@v/list', { kind: 'bytes', bytes: new Uint8Array() }),
        ask('/$m/@v/list', { status: 'ok', body: { kind: 'empty' } }),
      ],
    },
    {
      name: 'a list of a path that is no module is absent',
      steps: [ask('/$x/@v/list', { status: 'absent', body: { kind: 'shown', texts: ['$x'] } })],
    },
    {
      name: '@latest is the .info of a version',
      steps: [
        ask('/$m/v2/@latest', {
          status: 'ok',
          headers: { 'content-type': { starts: 'application/json' } },
          body: { kind: 'json', has: { Version: 'v2.0.0' } },
        }),
      ],
    },
    {
      name: '@latest of a path that is no module is absent',
      steps: [ask('/$x/@latest', 'absent')],
    },
    {
      name: 'a branch is the .info of the version that it stands for',
      steps: [
        ask('/$m/@v/main.info', {
          status: 'ok',
          body: { kind: 'json', has: { Version: 'v1.1.0' } },
        }),
      ],
    },
    {
      name: 'a commit is the .info of a pseudo-version',
      steps: [
        ask('/$m/@v/abcdef.info', {
          status: 'ok',
          body: { kind: 'has', texts: ['v1.1.1-0.2024'] },
        }),
      ],
    },
    {
      name: 'a branch that nobody has is absent',
      steps: [ask('/$m/@v/nobranch.info', 'absent')],
    },
    {
      name: 'a branch has no .mod and no .zip',
      steps: [
        ask('/$m/@v/main.mod', 'absent'),
        ask('/$m/@v/main.zip', 'absent'),
        asked('/$m/@v/main.zip', 0),
      ],
    },
    ...['latest', 'upgrade', 'patch'].map((word) => ({
      name: `the query word ${word}, which go never sends, is absent and not asked of upstream`,
      steps: [ask(`/$m/@v/${word}.info`, 'absent'), asked(`/$m/@v/${word}.info`, 0)],
    })),
    {
      name: 'a list is asked of upstream once for many who ask soon after another',
      steps: [
        ask('/$m/@v/list', 'ok'),
        ask('/$m/@v/list', { status: 'ok', body: versions }),
        ask('/$m/@v/list', 'ok'),
        asked('/$m/@v/list', 1),
      ],
    },
    {
      name: '@latest is asked of upstream once for many who ask soon after another',
      steps: [ask('/$m/v2/@latest', 'ok'), ask('/$m/v2/@latest', 'ok'), asked('/$m/v2/@latest', 1)],
    },
    {
      name: 'a branch is asked of upstream once for many who ask soon after another',
      steps: [
        ask('/$m/@v/main.info', 'ok'),
        ask('/$m/@v/main.info', 'ok'),
        asked('/$m/@v/main.info', 1),
      ],
    },
    {
      name: 'a path that is no module is asked of upstream once for many who ask soon after another',
      steps: [
        ask('/$x/@v/list', 'absent'),
        ask('/$x/@v/list', 'absent'),
        burst(10, '/$x/@v/list', 'absent'),
        asked('/$x/@v/list', 1),
      ],
    },
    {
      name: 'a version that nobody has is asked of upstream once for many who ask soon after another',
      steps: [
        ask('/$m/@v/v1.9.9.info', 'absent'),
        ask('/$m/@v/v1.9.9.info', 'absent'),
        asked('/$m/@v/v1.9.9.info', 1),
      ],
    },
    {
      name: 'a new version is seen when the list is no longer fresh',
      server: { ttl: 1 },
      steps: [
        ask('/$m/@v/list', { status: 'ok', body: versions }),
        { kind: 'publish', module: { path: '$m', version: 'v1.2.0' } },
        {
          kind: 'until',
          path: '/$m/@v/list',
          expect: { status: 'ok', body: { kind: 'lines', lines: ['v1.0.0', 'v1.1.0', 'v1.2.0'] } },
        },
      ],
    },
    {
      name: 'a list that is no longer fresh is served when upstream is gone',
      server: { ttl: 1 },
      steps: [
        ask('/$m/@v/list', 'ok'),
        down,
        {
          kind: 'until',
          path: '/$m/@v/list',
          // The mark says that the answer is the one from before.
          expect: { status: 'ok', body: versions, headers: { warning: { present: true } } },
        },
      ],
    },
    {
      name: 'a list that is no longer fresh is served when upstream fails',
      server: { ttl: 1 },
      steps: [
        ask('/$m/@v/list', 'ok'),
        broken('/$m/@v/list', { kind: 'status', status: 500 }),
        {
          kind: 'until',
          path: '/$m/@v/list',
          expect: { status: 'ok', body: versions, headers: { warning: { present: true } } },
        },
      ],
    },
    {
      name: 'the list of what is held stands in for a list that was never asked, when upstream is gone',
      steps: [
        ask('/$m/@v/v1.1.0.info', 'ok'),
        ask('/$m/@v/v1.1.0.mod', 'ok'),
        ask('/$m/@v/v1.1.0.zip', 'ok'),
        down,
        eventually('/$m/@v/list', { status: 'ok', body: { kind: 'lines', lines: ['v1.1.0'] } }),
        ask('/$m/@latest', { status: 'ok', body: { kind: 'json', has: { Version: 'v1.1.0' } } }),
      ],
    },
    {
      name: 'lists may be kept for a short time only, files for long',
      steps: [
        ask('/$m/@v/list', { status: 'ok', headers: { 'cache-control': { lacks: '604800' } } }),
        ask('/$m/@v/v1.0.0.mod', {
          status: 'ok',
          headers: { 'cache-control': { has: 'max-age=' } },
        }),
      ],
    },
    {
      name: 'with nothing to ask, what is held is listed and the rest is absent at once',
      server: { list: 'off' },
      steps: [
        ask('/$m/@v/list', { status: 'absent', withinMs: 2_000 }),
        ask('/$m/@v/v1.0.0.zip', { status: 'absent', withinMs: 2_000 }),
        asked('/*', 0),
      ],
    },
    {
      name: 'offline, nothing is asked and nothing waits',
      server: { offline: true },
      steps: [
        ask('/$m/@v/list', { status: 'absent', withinMs: 2_000 }),
        ask('/$m/@v/v1.0.0.zip', { status: 'absent', withinMs: 2_000 }),
        ask('/$m/@v/main.info', { status: 'absent', withinMs: 2_000 }),
        asked('/*', 0),
      ],
    },
    {
      name: 'everything held is served after a restart without upstream',
      steps: [
        ask('/$m/@v/v1.1.0.info', 'ok'),
        ask('/$m/@v/v1.1.0.mod', 'ok'),
        ask('/$m/@v/v1.1.0.info', 'ok'),
        ask('/$m/@v/v1.1.0.mod', 'ok'),
        ask('/$m/@v/v1.1.0.zip', 'ok'),
        down,
        restart,
        ask('/$m/@v/v1.1.0.info', 'ok'),
        ask('/$m/@v/v1.1.0.mod', { status: 'ok', body: { kind: 'upstream' } }),
        ask('/$m/@v/v1.1.0.zip', { status: 'ok', body: { kind: 'upstream' } }),
        ask('/$m/@v/list', { status: 'ok', body: { kind: 'has', texts: ['v1.1.0'] } }),
      ],
    },
    {
      name: 'that nobody had it is forgotten by a restart',
      steps: [
        ask('/$x/@v/list', 'absent'),
        forget,
        restart,
        ask('/$x/@v/list', 'absent'),
        asked('/$x/@v/list', 1, 1),
      ],
    },
  ],
}

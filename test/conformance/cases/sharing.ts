import { ask, asked, broken, burst, heal, type Subject } from '../case.ts'

const slow = (path: string) => broken(path, { kind: 'delay', ms: 300 })

/** Many who ask at once. */
export const sharing: Subject = {
  name: 'many at once',
  cases: [
    ...[
      '/$m/@v/v1.0.0.info',
      '/$m/@v/v1.0.0.mod',
      '/$m/@v/v1.0.0.zip',
      '/$m/@v/list',
      '/$m/v2/@latest',
      '/$m/@v/main.info',
    ].map((path) => ({
      name: `50 equal requests for ${path.slice(path.indexOf('/@') + 1)} are one upstream request`,
      steps: [slow(path), burst(50, path, 'ok'), asked(path, 1, 1)],
    })),
    {
      name: '50 equal requests for what nobody has are one upstream request',
      steps: [
        slow('/$x/@v/v1.0.0.info'),
        burst(50, '/$x/@v/v1.0.0.info', 'absent'),
        asked('/$x/@v/v1.0.0.info', 1, 1),
      ],
    },
    {
      name: '50 equal lookups are one upstream request',
      steps: [
        slow('$sumdb/lookup/$m@v1.0.0'),
        burst(50, '$sumdb/lookup/$m@v1.0.0', 'ok'),
        asked('$sumdb/lookup/$m@v1.0.0', 1, 1),
      ],
    },
    {
      name: 'an upstream that fails 50 equal requests is not asked 50 times',
      steps: [
        slow('/$m/@v/v1.0.0.zip'),
        broken('/$m/@v/v1.0.0.zip', { kind: 'status', status: 500 }),
        burst(50, '/$m/@v/v1.0.0.zip', 'trouble'),
        asked('/$m/@v/v1.0.0.zip', 15, 1),
      ],
    },
    {
      name: 'thirty modules that stall do not delay another',
      steps: [
        broken('/$m/stall*', { kind: 'stall' }),
        {
          kind: 'hold',
          paths: Array.from({ length: 30 }, (_, i) => `/$m/stall${i}/@v/v1.0.0.zip`),
        },
        ask('/$m/@v/v1.0.0.zip', { status: 'ok', withinMs: 3_000 }),
        ask('/$m/@v/list', { status: 'ok', withinMs: 3_000 }),
      ],
    },
    {
      name: 'a zip is brought also when the client who asked goes away, and for the next from here',
      steps: [
        broken('/$m/@v/v1.0.0.zip', { kind: 'delay', ms: 300 }),
        { kind: 'abandon', path: '/$m/@v/v1.0.0.zip' },
        ask('/$m/@v/v1.0.0.zip', { status: 'ok', body: { kind: 'upstream' } }),
        asked('/$m/@v/v1.0.0.zip', 1, 1),
      ],
    },
    {
      name: 'a list that stalls does not keep others from lists',
      steps: [
        broken('/$m/@v/list', { kind: 'stall' }),
        { kind: 'hold', paths: ['/$m/@v/list', '/$m/@v/list'] },
        ask('/$m/v2/@v/list', { status: 'ok', withinMs: 3_000 }),
        heal,
      ],
    },
  ],
}

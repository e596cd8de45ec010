import type { Fault } from '../../support/fake-upstream.ts'
import {
  ask,
  broken,
  type ConformanceCase,
  database,
  eventually,
  heal,
  type Subject,
} from '../case.ts'

const zip = '/$m/@v/v1.0.0.zip'
const mod = '/$m/@v/v1.0.0.mod'
const info = '/$m/@v/v1.0.0.info'

function bytes(text: string): Fault {
  return { kind: 'bytes', bytes: Buffer.from(text) }
}

/** Altered bytes are refused, not kept, and forgotten when upstream is well. */
function refused(name: string, path: string, fault: Fault): ConformanceCase {
  return {
    name: `${name} is refused, not kept, and heals with upstream`,
    steps: [
      broken(path, fault),
      ask(path, { status: 'refused', body: { kind: 'shown' } }),
      ask(`/cached-only${path}`, 'absent'),
      heal,
      eventually(path, { status: 'ok', body: { kind: 'upstream' } }),
      ask(path, { status: 'ok', body: { kind: 'upstream' } }),
    ],
  }
}

/** What the checksum database was made to say for an altered zip. */
function forged(
  name: string,
  fault: Parameters<typeof database>[0],
  log?: ConformanceCase['log'],
): ConformanceCase {
  return {
    name,
    ...(log === undefined ? {} : { log }),
    steps: [
      database(fault),
      ask(zip, 'refused'),
      ask(`/cached-only${zip}`, 'absent'),
      ask('$sumdb/lookup/$m@v1.0.0', 'refused'),
      heal,
      eventually(zip, { status: 'ok', body: { kind: 'upstream' } }),
      ask('$sumdb/lookup/$m@v1.0.0', {
        status: 'ok',
        body: { kind: 'lookup', module: '$m@v1.0.0' },
      }),
    ],
  }
}

/** What upstream sent wrong. */
export const altered: Subject = {
  name: 'altered bytes',
  cases: [
    ...[68, 70, 72].map((at) =>
      refused(`a zip with one bit flipped at byte ${at}`, zip, { kind: 'corrupt', at }),
    ),
    refused('a zip that is empty', zip, bytes('')),
    refused('a zip that is a text', zip, bytes('PK\u0003\u0004 not really')),
    refused(
      'a go.mod with one more line',
      mod,
      bytes('module $m\n\ngo 1.20\n\nrequire evil.test v1.0.0\n'),
    ),
    refused('an empty go.mod', mod, bytes('')),
    refused('an .info of another version', info, bytes('{"Version":"v1.1.0"}')),
    refused('an .info without a version', info, bytes('{}')),
    refused('an .info with a broken time', info, bytes('{"Version":"v1.0.0","Time":"yesterday"}')),
    refused('an .info that is a list', info, bytes('[]')),
    {
      name: 'an altered zip is refused with the hash that was due and the one that came',
      modules: [
        {
          path: '$m/other',
          version: 'v1.0.0',
          files: { 'go.mod': 'module $m/other\n', 'a.go': 'package a\n' },
        },
        {
          path: '$m/other',
          version: 'v1.0.0',
          files: { 'go.mod': 'module $m/other\n', 'a.go': 'package evil\n' },
        },
      ],
      steps: [
        ask('/$m/other/@v/v1.0.0.zip', {
          status: 'refused',
          body: { kind: 'shown', texts: ['h1:', 'expected'] },
        }),
      ],
    },
    forged('an altered zip with a forged record and the one leaf tile for it is refused', {
      kind: 'forge',
      module: '$m@v1.0.0',
    }),
    forged(
      'the same in a log where golang.org/x/mod before 2026 does not look at that tile',
      { kind: 'forge', module: '$m@v1.0.0' },
      { before: 25_600, after: 44_400 },
    ),
    forged('an altered zip whose hash hides in the tree note is refused', {
      kind: 'hidden-lines',
      asked: '$m@v1.0.0',
      given: '$m/v2@v2.0.0',
    }),
    forged('an altered zip whose hash is one more line of the record is refused', {
      kind: 'extra-line',
      line: '$m v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=',
    }),
    {
      name: 'the record of another module is refused and does not stay under the asked name',
      steps: [
        database({ kind: 'swap', asked: '$m@v1.0.0', given: '$m/v2@v2.0.0' }),
        ask('$sumdb/lookup/$m@v1.0.0', 'refused'),
        ask(zip, 'refused'),
        heal,
        eventually('$sumdb/lookup/$m@v1.0.0', {
          status: 'ok',
          body: { kind: 'lookup', module: '$m@v1.0.0' },
        }),
        ask(zip, { status: 'ok', body: { kind: 'upstream' } }),
      ],
    },
  ],
}

import { ask, asked, type ConformanceCase, type Subject } from '../case.ts'

/** Targets that are no names of anything, and what is sent for them, raw. */
const nonsense: readonly (readonly [string, string])[] = [
  ['an upper-case letter', '/example.com/Upper/@v/v1.0.0.info'],
  ['a lone escape', '/example.com/upper!/@v/v1.0.0.info'],
  ['an escaped escape', '/example.com/!!upper/@v/v1.0.0.info'],
  ['an escaped upper-case letter', '/example.com/!Upper/@v/v1.0.0.info'],
  ['an escape of no letter', '/example.com/!1upper/@v/v1.0.0.info'],
  ['a doubly escaped escape', '/example.com/%2521upper/@v/v1.0.0.info'],
  ['half an escape', '/example.com/m%2/@v/v1.0.0.info'],
  ['a broken escape', '/example.com/m%zz/@v/v1.0.0.info'],
  ['a NUL', '/example.com/m%00/@v/v1.0.0.info'],
  ['a line feed', '/example.com/m%0a/@v/v1.0.0.info'],
  ['a carriage return', '/example.com/m%0d%0aX-Evil:%201/@v/v1.0.0.info'],
  ['an escaped letter beyond ASCII', '/example.com/%C3%A9/@v/v1.0.0.info'],
  ['bytes that are no UTF-8', '/example.com/%ff%fe/@v/v1.0.0.info'],
  ['two dots', '/example.com/../example.com/m/@v/v1.0.0.info'],
  ['escaped dots', '/%2e%2e/%2e%2e/etc/passwd/@v/v1.0.0.info'],
  ['an escaped slash', '/..%2f..%2f..%2fetc%2fpasswd'],
  ['dots in the version', '/example.com/m/@v/../../../../etc/passwd'],
  ['dots in an escaped version', '/example.com/m/@v/..%2f..%2fv1.0.0.info'],
  ['a backslash', '/example.com\\m/@v/v1.0.0.info'],
  ['two slashes', '/example.com//m/@v/v1.0.0.info'],
  ['two slashes first', '//example.com/m/@v/v1.0.0.info'],
  ['a slash at the end', '/example.com/m/@v/v1.0.0.info/'],
  ['a single dot', '/example.com/./m/@v/v1.0.0.info'],
  ['a first part without a dot', '/localhost/m/@v/v1.0.0.info'],
  ['a dot at the end', '/example.com/m./@v/v1.0.0.info'],
  ['a hyphen at the start', '/-example.com/m/@v/v1.0.0.info'],
  ['a device of Windows', '/example.com/con/@v/v1.0.0.info'],
  ['a short name of Windows', '/example.com/verylo~1/@v/v1.0.0.info'],
  ['/v1 as a suffix', '/example.com/m/v1/@v/v1.0.0.info'],
  ['/v02 as a suffix', '/example.com/m/v02/@v/v2.0.0.info'],
  ['no module', '/@v/list'],
  ['no version', '/example.com/m/@v/.info'],
  ['no ending', '/example.com/m/@v/v1.0.0'],
  ['another ending', '/example.com/m/@v/v1.0.0.txt'],
  ['another word', '/example.com/m/@newest'],
  ['a folder', '/example.com/m/@v/'],
  ['a module alone', '/example.com/m'],
  ['something else', '/favicon.ico'],
  ['a database and nothing', '/sumdb/sum.test'],
  ['a tile that is none', '/sumdb/sum.test/tile/9/0/000'],
  ['a tile wider than tiles are', '/sumdb/sum.test/tile/8/0/000.p/256'],
  ['a tile of no width', '/sumdb/sum.test/tile/8/0/000.p/0'],
  ['a tile in short digits', '/sumdb/sum.test/tile/8/0/1'],
  ['a lookup of no version', '/sumdb/sum.test/lookup/example.com/m'],
  ['a lookup of a path', '/sumdb/sum.test/lookup/../../../etc/passwd@v1.0.0'],
]

/** Versions that are none: no file of them can exist. */
const oddVersions = [
  'v1',
  'v1.0',
  'v01.0.0',
  'v1.0.0+meta',
  '1.0.0',
  'v1.0.0-',
  'v1.0.0-01',
  'v1.0.0.0',
  'vv1.0.0',
  'v1.0.0-a_b',
  'v9223372036854775808.0.0.1',
]

function raw(target: string): string {
  return `GET ${target} HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n`
}

const refusals = nonsense.map(
  ([what, target]): ConformanceCase => ({
    name: `${what} in a target is an error of who asked, and asked of nobody`,
    steps: [
      { kind: 'raw', text: raw(target), expect: { status: 'bad' } },
      asked('/example.com/*', 0),
      asked('$sumdb/*', 0),
      ask('/$m/@v/v1.0.0.info', 'ok'),
    ],
  }),
)

/** How modules and versions are spelled in URLs. */
export const names: Subject = {
  name: 'names',
  cases: [
    {
      name: 'a raw ! and an escaped one name the same module, which is brought once',
      steps: [
        ask('/$E/@v/v1.0.0.zip', {
          status: 'ok',
          body: { kind: 'upstream', path: '/$U/@v/v1.0.0.zip' },
        }),
        ask('/$U/@v/v1.0.0.zip', { status: 'ok', body: { kind: 'upstream' } }),
        asked('/$U/@v/v1.0.0.zip', 1, 1),
      ],
    },
    {
      name: 'a version with upper-case letters is spelled with !',
      steps: [
        ask('/$U/@v/v1.1.0-!r!c1.info', {
          status: 'ok',
          body: { kind: 'json', has: { Version: 'v1.1.0-RC1' } },
        }),
        ask('/$U/@v/v1.1.0-%21r%21c1.zip', {
          status: 'ok',
          body: { kind: 'upstream', path: '/$U/@v/v1.1.0-!r!c1.zip' },
        }),
        ask('/$U/@v/v1.1.0-RC1.info', 'absent'),
      ],
    },
    {
      name: 'a query after the path does not change what is asked',
      steps: [
        ask('/$m/@v/v1.0.0.mod?go-get=1', {
          status: 'ok',
          body: { kind: 'upstream', path: '/$m/@v/v1.0.0.mod' },
        }),
      ],
    },
    {
      name: 'a target of 10,000 characters is an error of who asked',
      steps: [ask(`/example.com/${'a'.repeat(10_000)}/@v/list`, 'bad')],
    },
    {
      name: 'raw bytes beyond ASCII are an error of who asked',
      steps: [
        { kind: 'raw', text: raw('/example.com/\u00e9\u00ff/@v/list'), expect: { status: 'bad' } },
      ],
    },
    ...oddVersions.map((version) => ({
      name: `${version}, which is no version, has no files, and upstream is not asked for them`,
      steps: [
        ask(`/$m/@v/${version}.zip`, 'absent'),
        ask(`/$m/@v/${version}.mod`, 'absent'),
        asked(`/$m/@v/${version}.zip`, 0),
        asked(`/$m/@v/${version}.mod`, 0),
      ],
    })),
    ...refusals,
  ],
}

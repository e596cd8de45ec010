import { type ModuleVersion, parseModuleVersion, rfc3339Seconds } from '@modmesh/module'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Catalogue } from '../src/catalogue.ts'
import { catalogPage, indexPage } from '../src/catalogue-pages.ts'

const plainText = 'text/plain; charset=utf-8'

interface Held {
  readonly module: ModuleVersion
  readonly committedMs: number
}

function catalogueOf(held: readonly Held[]): Catalogue {
  const never = (): (() => void) => () => {}
  const store = { list: () => held, onCommitted: never, onRemoved: never }
  return new Catalogue({ store, clock: { wallMs: () => 0 } })
}

function held(path: string, version: string, time: string): Held {
  return { module: parseModuleVersion(path, version), committedMs: Date.parse(time) }
}

const three = catalogueOf([
  held('golang.org/x/text', 'v0.3.0', '2019-04-10T19:08:52.997Z'),
  held('github.com/Azure/sdk', 'v1.0.0', '2019-04-10T19:08:53Z'),
  held('corp.example/secret', 'v0.0.0-20240506070809-0123456789ab', '2024-05-06T07:08:09.120Z'),
])

function index(
  query: string,
  catalogue = three,
): { readonly status: number; readonly body: string } {
  const { status, body, type } = indexPage(catalogue, new URLSearchParams(query))
  expect(type).toBe(plainText)
  return { status, body: String(body) }
}

function catalog(
  query: string,
  catalogue = three,
): { readonly status: number; readonly body: string } {
  const { status, body, type } = catalogPage(catalogue, new URLSearchParams(query))
  expect(type).toBe(status === 200 ? 'application/json' : plainText)
  return { status, body: String(body) }
}

const indexLines = [
  '{"Path":"golang.org/x/text","Version":"v0.3.0","Timestamp":"2019-04-10T19:08:52.997Z"}\n',
  '{"Path":"github.com/Azure/sdk","Version":"v1.0.0","Timestamp":"2019-04-10T19:08:53Z"}\n',
  '{"Path":"corp.example/secret","Version":"v0.0.0-20240506070809-0123456789ab","Timestamp":"2024-05-06T07:08:09.12Z"}\n',
] as const

describe('/-/index', () => {
  test('is one line of JSON for each module version, as of index.golang.org', () => {
    expect(index('')).toEqual({ status: 200, body: indexLines.join('') })
  })

  test.for([
    ['the time itself is in', 'since=2019-04-10T19:08:53Z', 1],
    ['a microsecond later is not', 'since=2019-04-10T19:08:53.000001Z', 2],
    ['a nanosecond later is not', 'since=2019-04-10T19:08:53.000000001Z', 2],
    ['a time before all', 'since=1900-01-01T00:00:00Z', 0],
    ['another zone', 'since=2019-04-10T21:08:53%2B02:00', 1],
    ['a zone to the west', 'since=2019-04-10T17:08:53-02:00', 1],
    ['after all', 'since=2099-01-01T00:00:00Z', 3],
    ['an empty one is none', 'since=&limit=', 0],
    ['include=all asks for no less', 'include=all', 0],
  ] as const)('since: %s', ([, query, first]) => {
    expect(index(query)).toEqual({ status: 200, body: indexLines.slice(first).join('') })
  })

  test('is cut at the limit, 2000 where none is given', () => {
    expect(index('limit=1').body).toBe(indexLines[0])
    const many = Array.from({ length: 2_500 }, (_, i) =>
      held('example.com/m', `v1.0.${i}`, '2024-01-01T00:00:00Z'),
    )
    for (const query of ['', 'limit=2000']) {
      expect(index(query, catalogueOf(many)).body.match(/\n/g)).toHaveLength(2_000)
    }
  })

  test('nothing held is an empty answer', () => {
    expect(index('', catalogueOf([]))).toEqual({ status: 200, body: '' })
  })

  test.for([
    ['limit=0', 'limit="0": give a number from 1 to 2000'],
    ['limit=2001', 'limit="2001": give a number from 1 to 2000'],
    ['limit=-1', 'limit="-1": give a number from 1 to 2000'],
    ['limit=1e3', 'limit="1e3": give a number from 1 to 2000'],
    [`limit=${'9'.repeat(400)}`, `limit="${'9'.repeat(37)}...": give a number from 1 to 2000`],
    ['since=yesterday', 'since="yesterday": give a time as 2024-05-06T07:08:09Z (RFC 3339)'],
    [
      'since=2019-04-10T21:08:53+02:00',
      'since="2019-04-10T21:08:53 02:00": give a time as 2024-05-06T07:08:09Z (RFC 3339)\na + in a URL is written %2B',
    ],
    ['since=1556000000', 'since="1556000000": give a time as 2024-05-06T07:08:09Z (RFC 3339)'],
    ['include=some', 'include="some": leave it out, or give all'],
    ['sinse=x', 'unknown parameter "sinse"\nknown here: since, limit, include'],
    ['limit=1&limit=2', 'limit is given twice; give it once'],
    ['%1b[31m=1', 'unknown parameter "\\u001b[31m"\nknown here: since, limit, include'],
  ] as const)('?%s is refused, and what to write instead is said', ([query, text]) => {
    expect(index(query)).toEqual({ status: 400, body: `${text}\n` })
  })

  test('its pages make up all of it: each begins with the last line of the one before', () => {
    const one = fc.record({ patch: fc.nat({ max: 200 }), at: fc.nat({ max: 3 }) })
    const several = fc.uniqueArray(one, { selector: ({ patch }) => patch })
    fc.assert(
      fc.property(several, fc.integer({ min: 2, max: 7 }), (wanted, limit) => {
        const entries = wanted.map(({ patch, at }) => ({
          module: parseModuleVersion('example.com/m', `v1.0.${patch}`),
          committedMs: at,
        }))
        const catalogue = catalogueOf(entries)
        const whole = index('', catalogue).body
        let read = ''
        for (let since = ''; ; ) {
          const { body } = index(`limit=${limit}&since=${since}`, catalogue)
          const lines = body.split('\n').slice(0, -1)
          read += lines
            .slice(since === '' ? 0 : 1)
            .map((line) => `${line}\n`)
            .join('')
          if (lines.length < limit) break
          since = (JSON.parse(lines.at(-1) ?? '') as { Timestamp: string }).Timestamp
          expect(rfc3339Seconds(since)).toBe(0)
        }
        expect(read).toBe(whole)
      }),
    )
  })
})

describe('/-/catalog', () => {
  const modules = [
    { module: 'corp.example/secret', version: 'v0.0.0-20240506070809-0123456789ab' },
    { module: 'github.com/Azure/sdk', version: 'v1.0.0' },
    { module: 'golang.org/x/text', version: 'v0.3.0' },
  ]

  test('is JSON by name, as of Athens, without `next` on the last page', () => {
    const { status, body } = catalog('')
    expect(status).toBe(200)
    expect(JSON.parse(body)).toEqual({ modules })
    expect(JSON.parse(catalog('pagesize=3').body)).toEqual({ modules })
  })

  test.for(['pagesize', 'pageSize'])('%s cuts it, and `next` goes on', (name) => {
    const first = JSON.parse(catalog(`${name}=2`).body) as { next: string }
    expect(first).toEqual({ modules: modules.slice(0, 2), next: 'github.com/Azure/sdk@v1.0.0' })
    const token = encodeURIComponent(first.next)
    expect(JSON.parse(catalog(`${name}=2&token=${token}`).body)).toEqual({
      modules: modules.slice(2),
    })
  })

  test('goes on behind a token whose version is gone', () => {
    const token = encodeURIComponent('github.com/Azure/sdk@v0.9.0')
    expect(JSON.parse(catalog(`token=${token}`).body)).toEqual({ modules: modules.slice(1) })
  })

  test('nothing held is an empty list', () => {
    expect(catalog('', catalogueOf([])).body).toBe('{"modules":[]}\n')
  })

  test('gives 1000 where nothing is said', () => {
    const many = Array.from({ length: 1_001 }, (_, i) =>
      held('example.com/m', `v1.0.${i}`, '2024-01-01T00:00:00Z'),
    )
    const page = JSON.parse(catalog('', catalogueOf(many)).body) as { modules: unknown[] }
    expect(page).toMatchObject({ next: 'example.com/m@v1.0.999' })
    expect(page.modules).toHaveLength(1_000)
  })

  test.for([
    ['pagesize=0', 'pagesize="0": give a number from 1 to 10000'],
    ['pageSize=10001', 'pagesize="10001": give a number from 1 to 10000'],
    ['token=nonsense', 'token: give the `next` of the page before, or none to begin'],
    ['token=../..@v1.0.0', 'token: give the `next` of the page before, or none to begin'],
    ['page=2', 'unknown parameter "page"\nknown here: token, pagesize'],
  ] as const)('?%s is refused, and what to write instead is said', ([query, text]) => {
    expect(catalog(query)).toEqual({ status: 400, body: `${text}\n` })
  })
})

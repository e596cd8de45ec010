import { ask, broken, forget, type Subject } from '../case.ts'

const zip = '/$m/@v/v1.0.0.zip'
const mod = '/$m/@v/v1.0.0.mod'

/** Validators, ranges, HEAD, and what caches are told. */
export const headers: Subject = {
  name: 'headers',
  cases: [
    ...[zip, mod].flatMap((path) => {
      const kind = path.slice(-3)
      return [
        {
          name: `a .${kind} has a strong ETag, which stays the same`,
          steps: [
            ask(path, { status: 'ok', headers: { etag: { starts: '"' } } }),
            ask(path, 304, { headers: { 'if-none-match': '$etag' } }),
          ],
        },
        {
          name: `a .${kind} that did not change is not sent again`,
          steps: [
            ask(path, 'ok'),
            ask(
              path,
              { status: 304, body: { kind: 'empty' } as const },
              { headers: { 'if-none-match': '$etag' } },
            ),
            ask(path, 304, { headers: { 'if-none-match': '"other", W/$etag' } }),
            ask(path, 304, { headers: { 'if-none-match': '*' } }),
          ],
        },
        {
          name: `a .${kind} under another ETag is sent`,
          steps: [ask(path, 'ok', { headers: { 'if-none-match': '"other"' } })],
        },
        {
          name: `HEAD of a .${kind} has the headers and no body`,
          steps: [
            ask(
              path,
              {
                status: 'ok',
                headers: { 'content-length': { present: true }, etag: { starts: '"' } },
                body: { kind: 'empty' } as const,
              },
              { method: 'HEAD' },
            ),
          ],
        },
      ]
    }),
    {
      name: 'HEAD of an .info and of a list is answered',
      steps: [
        ask('/$m/@v/v1.0.0.info', { status: 'ok', body: { kind: 'empty' } }, { method: 'HEAD' }),
        ask('/$m/@v/list', { status: 'ok', body: { kind: 'empty' } }, { method: 'HEAD' }),
      ],
    },
    {
      name: 'HEAD of what nobody has is absent',
      steps: [
        ask('/$x/@v/v1.0.0.zip', { status: 'absent', body: { kind: 'empty' } }, { method: 'HEAD' }),
      ],
    },
    {
      name: 'ranges are offered',
      steps: [ask(zip, { status: 'ok', headers: { 'accept-ranges': { is: 'bytes' } } })],
    },
    {
      name: 'a range from the start is served',
      steps: [
        ask(
          zip,
          {
            status: 206,
            headers: { 'content-range': { starts: 'bytes 0-9/' }, 'content-length': { is: '10' } },
            body: { kind: 'upstream', to: 10 },
          },
          { headers: { range: 'bytes=0-9' } },
        ),
      ],
    },
    {
      name: 'a range to the end is served, so that a broken download is continued',
      steps: [
        ask(zip, 'ok'),
        ask(
          zip,
          { status: 206, body: { kind: 'upstream', from: 100 } },
          { headers: { range: 'bytes=100-', 'if-range': '$etag' } },
        ),
      ],
    },
    {
      name: 'a range from the end is served',
      steps: [
        ask(
          zip,
          { status: 206, body: { kind: 'upstream', from: -20 } },
          { headers: { range: 'bytes=-20' } },
        ),
      ],
    },
    {
      name: 'a range behind the end is 416 with the length',
      steps: [
        ask(
          zip,
          { status: 416, headers: { 'content-range': { starts: 'bytes */' } } },
          { headers: { range: 'bytes=99999999-' } },
        ),
      ],
    },
    {
      name: 'a range of another ETag is the whole',
      steps: [
        ask(
          zip,
          { status: 'ok', body: { kind: 'upstream' } },
          { headers: { range: 'bytes=100-', 'if-range': '"other"' } },
        ),
      ],
    },
    {
      name: 'a range of a weak ETag is the whole',
      steps: [
        ask(zip, 'ok'),
        ask(
          zip,
          { status: 'ok', body: { kind: 'upstream' } },
          { headers: { range: 'bytes=100-', 'if-range': 'W/$etag' } },
        ),
      ],
    },
    ...['bytes=9-1', 'bytes=a-b', 'lines=0-9', 'bytes', 'bytes=-'].map((range) => ({
      name: `the malformed range ${range} is ignored`,
      steps: [
        ask(zip, { status: 'ok', body: { kind: 'upstream' } as const }, { headers: { range } }),
      ],
    })),
    {
      name: 'a zip is never compressed once more, or a broken download could not be continued',
      steps: [
        ask(
          zip,
          {
            status: 'ok',
            headers: { 'content-encoding': { present: false } },
            body: { kind: 'upstream' },
          },
          { headers: { 'accept-encoding': 'gzip' } },
        ),
      ],
    },
    {
      name: 'Cache-Status says whether it was at hand',
      steps: [
        ask(zip, { status: 'ok', headers: { 'cache-status': { has: 'fwd=miss' } } }),
        ask(zip, { status: 'ok', headers: { 'cache-status': { has: 'hit' } } }),
      ],
    },
    {
      name: 'Cache-Status says what failed',
      steps: [
        broken(zip, { kind: 'status', status: 500 }),
        ask(zip, { status: 'trouble', headers: { 'cache-status': { has: 'fwd=miss' } } }),
      ],
    },
    {
      name: 'trouble may not be kept by anybody',
      steps: [
        broken('/$m/*', { kind: 'status', status: 500 }),
        ask(zip, { status: 'trouble', headers: { 'cache-control': { is: 'no-store' } } }),
        ask('/$m/@v/list', { status: 'trouble', headers: { 'cache-control': { is: 'no-store' } } }),
      ],
    },
    {
      name: 'that nobody has it may be kept for minutes at most',
      steps: [
        ask('/$x/@v/list', { status: 'absent', headers: { 'cache-control': { lacks: '86400' } } }),
        forget,
      ],
    },
  ],
}

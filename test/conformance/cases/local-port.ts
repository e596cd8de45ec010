import { ask, asked, type ConformanceCase, type Subject } from '../case.ts'

const path = '/$m/@v/v1.0.0.info'

function raw(
  name: string,
  lines: readonly string[],
  status: 'bad' | 'ok' | number,
): ConformanceCase {
  const text = `${lines.join('\r\n')}\r\n\r\n`
  return { name, steps: [{ kind: 'raw', text, expect: { status } }] }
}

/** Who may ask, and how. */
export const localPort: Subject = {
  name: 'the port',
  cases: [
    ...['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND'].map((method) => ({
      name: `${method} is not allowed, and says what is`,
      steps: [
        ask(path, { status: 405, headers: { allow: { has: 'GET' } } }, { method }),
        asked('/$m/*', 0),
      ],
    })),
    raw(
      'a Host that is not ours is refused: a page may have rebound its name',
      [`GET ${path} HTTP/1.1`, 'Host: evil.example', 'Connection: close'],
      403,
    ),
    raw(
      'localhost is our name',
      [`GET ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close'],
      'ok',
    ),
    raw('no Host is refused', [`GET ${path} HTTP/1.1`, 'Connection: close'], 'bad'),
    raw(
      'two Hosts are refused',
      [`GET ${path} HTTP/1.1`, 'Host: $host', 'Host: evil.example', 'Connection: close'],
      'bad',
    ),
    raw(
      'the page of another origin is refused',
      [`GET ${path} HTTP/1.1`, 'Host: $host', 'Origin: https://evil.example', 'Connection: close'],
      403,
    ),
    raw(
      'a request that a foreign page caused is refused',
      [`GET ${path} HTTP/1.1`, 'Host: $host', 'Sec-Fetch-Site: cross-site', 'Connection: close'],
      403,
    ),
    raw(
      'a target for a forward proxy is refused',
      [`GET http://evil.example${path} HTTP/1.1`, 'Host: $host', 'Connection: close'],
      'bad',
    ),
    raw(
      'a request with a body is refused',
      [
        `GET ${path} HTTP/1.1`,
        'Host: $host',
        'Content-Length: 5',
        'Connection: close',
        '',
        'hello',
      ],
      'bad',
    ),
    raw('what is no HTTP is refused', ['hello world'], 'bad'),
    raw(
      '100 KB of header fields are refused',
      [`GET ${path} HTTP/1.1`, 'Host: $host', `X-Long: ${'x'.repeat(100_000)}`],
      'bad',
    ),
    {
      name: 'under a secret base path only who knows it is served',
      server: { secret: 's3cret-base' },
      steps: [
        ask(`/s3cret-base${path}`, 'ok'),
        ask(path, 'absent'),
        ask(`/s3cret-bas${path}`, 'absent'),
        ask('/s3cret-base', { status: 'ok' }),
        ask('/$m/@v/list', 'absent'),
        asked('/$m/@v/list', 0),
      ],
    },
  ],
}

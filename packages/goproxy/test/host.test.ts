import { describe, expect, test } from 'vitest'
import { isLoopbackHost, splitHostPort } from '../src/host.ts'
import { mayRedirect, reachOf } from '../src/upstream/reach.ts'

test.for<[string, ReturnType<typeof splitHostPort>]>([
  ['localhost', { host: 'localhost', port: undefined }],
  ['LocalHost:4770', { host: 'localhost', port: 4770 }],
  ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
  ['[::1]:4770', { host: '::1', port: 4770 }],
  ['[::1]', { host: '::1', port: undefined }],
  [':4770', { host: '', port: 4770 }],
  ['', { host: '', port: undefined }],
  ['::1', undefined],
  ['[::1', undefined],
  ['[localhost]:1', undefined],
  ['host:', undefined],
  ['host:65536', undefined],
  ['host:1x', undefined],
  ['host:1:2', undefined],
  ['user@host', undefined],
  ['host/path', undefined],
  ['ho st', undefined],
])('host and port of %s', ([text, expected]) => {
  expect(splitHostPort(text)).toEqual(expected)
})

test.for<[string, boolean]>([
  ['localhost', true],
  ['127.0.0.1', true],
  ['127.8.9.1', true],
  ['::1', true],
  ['[::1]', true],
  ['127.0.0.1.evil.test', false],
  ['127.evil.test', false],
  ['localhost.evil.test', false],
  ['0.0.0.0', false],
  ['10.0.0.1', false],
])('%s is loopback: %s', ([host, expected]) => {
  expect(isLoopbackHost(host)).toBe(expected)
})

describe('a redirect leads outwards only', () => {
  test.for<[string, string, boolean]>([
    ['proxy.golang.org', 'storage.googleapis.com', true],
    ['proxy.golang.org', '127.0.0.1', false],
    ['proxy.golang.org', 'localhost', false],
    ['proxy.golang.org', 'x.localhost', false],
    ['proxy.golang.org', '10.1.2.3', false],
    ['proxy.golang.org', '169.254.169.254', false],
    ['proxy.golang.org', '0.0.0.0', false],
    ['proxy.golang.org', '[::1]', false],
    ['proxy.golang.org', '[::]', false],
    ['proxy.golang.org', '[fe80::1]', false],
    ['proxy.golang.org', '[fd00::1]', false],
    ['proxy.golang.org', '[::ffff:127.0.0.1]', false],
    ['10.0.0.1', '192.168.1.1', true],
    ['10.0.0.1', '127.0.0.1', false],
    ['10.0.0.1', '169.254.169.254', false],
    ['127.0.0.1', '10.0.0.1', true],
    ['127.0.0.1', '169.254.169.254', false],
    ['169.254.1.1', '169.254.1.1', true],
  ])('%s to %s: %s', ([from, to, expected]) => {
    expect(mayRedirect(from, new URL(`http://${to}`).hostname)).toBe(expected)
  })

  test('numbers written otherwise are the same address', () => {
    expect(reachOf(new URL('http://2130706433').hostname)).toBe('loopback')
    expect(reachOf(new URL('http://0x7f.1').hostname)).toBe('loopback')
  })
})

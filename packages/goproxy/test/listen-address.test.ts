import { describe, expect, test } from 'vitest'
import {
  formatListenAddress,
  isLocalOnly,
  parseListenAddress,
  urlOfAddress,
} from '../src/listen-address.ts'

describe('an address to listen on', () => {
  test.for([
    { text: '127.0.0.1:4770', url: 'http://127.0.0.1:4770', local: true },
    { text: '[::1]:0', url: 'http://[::1]:0', local: true },
    { text: 'localhost:1', url: 'http://localhost:1', local: true },
    { text: '0.0.0.0:4770', url: 'http://127.0.0.1:4770', local: false },
    { text: '[::]:4770', url: 'http://[::1]:4770', local: false },
    { text: ':4770', url: 'http://127.0.0.1:4770', local: false },
    { text: '172.17.0.1:4770', url: 'http://172.17.0.1:4770', local: false },
    { text: 'unix:/run/m.sock', url: 'unix:/run/m.sock', local: true },
  ])('$text', ({ text, url, local }) => {
    const address = parseListenAddress(text)
    expect(address).toBeDefined()
    if (address === undefined) return
    expect(formatListenAddress(address)).toBe(text)
    expect([urlOfAddress(address), isLocalOnly(address)]).toEqual([url, local])
  })

  test.for(['', '127.0.0.1', '127.0.0.1:', '127.0.0.1:70000', '::1:80', 'unix:', 'unix:m.sock'])(
    'is not %j',
    (text) => {
      expect(parseListenAddress(text)).toBeUndefined()
    },
  )

  test.for([`unix:/${'x'.repeat(103)}`, 'unix:/run/', 'unix:/a\0b'])('is not %j', (text) => {
    expect(parseListenAddress(text)).toBeUndefined()
  })
})

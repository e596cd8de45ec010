import { describe, expect, test } from 'vitest'
import { parseConfigFile } from '../src/config-file.ts'
import { UsageError } from '../src/errors.ts'

describe('a configuration file', () => {
  test('gives each key with its line', () => {
    const file = parseConfigFile('c.toml', '# mine\n\nsite = "oslo"\n"mesh-listen" = "[::]:1"\n')
    expect([...file]).toEqual([
      ['site', { text: 'oslo', line: 3 }],
      ['meshListen', { text: '[::]:1', line: 4 }],
    ])
  })

  test.for([
    'upstream = ["https://a.example", "x.example/*=https://b.example"]',
    '[upstream]\ndefault = "https://a.example"\n"x.example/*" = "https://b.example"',
    'upstream = "https://a.example;x.example/*=https://b.example"',
  ])('writes routes of upstreams as %s', (text) => {
    const joined = 'https://a.example;x.example/*=https://b.example'
    expect(parseConfigFile('c.toml', text).get('upstream')).toEqual({ text: joined, line: 1 })
  })

  test.for([
    { text: 'lissten = "x"', says: 'c.toml:1: unknown key "lissten"; did you mean "listen"?' },
    {
      text: '\nmesh_listen = "x"',
      says: 'c.toml:2: unknown key "mesh_listen"; did you mean "mesh-listen"?',
    },
    {
      text: 'site = "a"\n[peers]\nx = 1',
      says: 'c.toml:2: unknown key "peers"; did you mean "peer"?',
    },
    { text: 'quux = 1', says: 'c.toml:1: unknown key "quux"; known are: dir, log' },
    { text: 'config = "x"', says: 'c.toml:1: unknown key "config"' },
    { text: 'site = 1\nname = true', says: 'c.toml:2: name: must be a string or a number' },
    { text: 'private = [1]', says: 'c.toml:1: private: must be an array of strings' },
    { text: 'offline = 1', says: 'c.toml:1: offline: must be true or false' },
    { text: '[upstream]\ndefault = 1', says: 'c.toml:1: upstream: must be a string, an array' },
    { text: 'dir = 1', says: 'c.toml:1: dir: must be a string' },
    { text: 'site = "a"\nsite = "b"', says: 'c.toml:2:' },
    { text: 'site = "a"\n\nname = oops', says: 'c.toml:3:' },
    { text: 'site = "a', says: 'c.toml:1:' },
  ])('$text is refused: $says', ({ text, says }) => {
    const error = thrownBy(() => parseConfigFile('c.toml', text))
    expect(error).toBeInstanceOf(UsageError)
    expect(error.message).toContain(says)
    expect(error.message).not.toContain('\n')
  })
})

function thrownBy(run: () => unknown): Error {
  try {
    run()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('nothing was thrown')
}

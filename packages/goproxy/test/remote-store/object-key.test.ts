import { parseModuleVersion } from '@modmesh/module'
import { describe, expect, test } from 'vitest'
import { encodeKey, objectKey } from '../../src/remote-store/object-key.ts'

describe('the key of an object', () => {
  test.for([
    ['', 'example.com/m', 'v1.0.0', 'zip', 'v1/example.com/m/@v/v1.0.0.zip'],
    ['go', 'example.com/m', 'v1.0.0', 'mod', 'go/v1/example.com/m/@v/v1.0.0.mod'],
    ['a/b', 'example.com/m', 'v1.0.0', 'info', 'a/b/v1/example.com/m/@v/v1.0.0.info'],
    ['', 'example.com/m', 'v1.0.0', 'record', 'v1/example.com/m/@v/v1.0.0.record.json'],
    [
      '',
      'github.com/BurntSushi/toml',
      'v1.2.0-RC.1',
      'zip',
      'v1/github.com/!burnt!sushi/toml/@v/v1.2.0-!r!c.1.zip',
    ],
    [
      '',
      'example.com/m',
      'v2.0.0+incompatible',
      'zip',
      'v1/example.com/m/@v/v2.0.0+incompatible.zip',
    ],
    ['', 'gopkg.in/yaml.v3', 'v3.0.1', 'mod', 'v1/gopkg.in/yaml.v3/@v/v3.0.1.mod'],
  ] as const)('below %o, of %o %o %o is %o', ([prefix, path, version, part, key]) => {
    expect(objectKey(prefix, parseModuleVersion(path, version), part)).toBe(key)
  })

  test('differs for every part and for names that differ in case only', () => {
    const names = [
      parseModuleVersion('example.com/Mod', 'v1.0.0'),
      parseModuleVersion('example.com/mod', 'v1.0.0'),
      parseModuleVersion('example.com/mod', 'v1.0.0-rc'),
      parseModuleVersion('example.com/mod', 'v1.0.0-RC'),
    ]
    const keys = names.flatMap((name) =>
      (['zip', 'mod', 'info', 'record'] as const).map((part) => objectKey('', name, part)),
    )
    expect(new Set(keys.map((key) => key.toLowerCase())).size).toBe(16)
  })

  test.for([
    ['v1/example.com/m/@v/v1.0.0.zip', 'v1/example.com/m/%40v/v1.0.0.zip'],
    ['v1/github.com/!burnt', 'v1/github.com/%21burnt'],
    ['a+b', 'a%2Bb'],
    ["~-._'()*", '~-._%27%28%29%2A'],
    ['größe/x y', 'gr%C3%B6%C3%9Fe/x%20y'],
  ] as const)('%o is encoded as %o', ([key, encoded]) => {
    expect(encodeKey(key)).toBe(encoded)
  })
})

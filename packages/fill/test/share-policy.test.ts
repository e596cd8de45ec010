import { mayShare, type Proof } from '@modmesh/fill'
import { parseModuleVersion } from '@modmesh/module'
import { expect, test } from 'vitest'

const cases: [string, Proof, boolean, boolean][] = [
  [
    'a record of the database',
    { kind: 'checksum-db', database: 'sum.example', record: 1 },
    false,
    true,
  ],
  ['a go.sum', { kind: 'go-sum' }, false, true],
  ['nothing but upstream', { kind: 'upstream' }, false, false],
  [
    'a record, though now private',
    { kind: 'checksum-db', database: 'sum.example', record: 1 },
    true,
    false,
  ],
  ['a go.sum, though private', { kind: 'go-sum' }, true, false],
]

test.for(cases)('what is proven by %s', ([, proof, isPrivate, isShared]) => {
  const module = parseModuleVersion('example.com/mod', 'v1.0.0')
  expect(mayShare({ module, proof }, () => isPrivate)).toBe(isShared)
})

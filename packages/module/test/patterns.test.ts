import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { matchesPatterns, parsePatterns } from '../src/index.ts'
import { anyModulePath } from './support/arbitrary.ts'

test.for([
  ['the path itself', 'example.com/a', 'example.com/a', true],
  ['a prefix of whole elements', 'example.com/a', 'example.com/a/b/c', true],
  ['no prefix inside an element', 'example.com/a', 'example.com/ab', false],
  ['no longer path', 'example.com/a/b', 'example.com/a', false],
  ['one of several', 'x.y,*.example.com', 'git.example.com/a', true],
  ['no bare domain', '*.example.com', 'example.com/a', false],
  ['nothing when empty', '', 'example.com', false],
  ['nothing but what is between the commas', ',,/,', 'example.com', false],
  ['no malformed pattern', 'example.com/[a', 'example.com/[a', false],
  ['what follows a malformed pattern', '[,example.com', 'example.com/a', true],
  ['capitals as they are', 'example.com/A', 'example.com/a', false],
] as const)('patterns match %s', ([, patterns, path, want]) => {
  expect(matchesPatterns(parsePatterns(patterns), path)).toBe(want)
})

test('a path without special characters matches itself and what is below', () => {
  fc.assert(
    fc.property(anyModulePath, anyModulePath, (path, more) => {
      const patterns = parsePatterns(path)
      expect(matchesPatterns(patterns, path)).toBe(true)
      expect(matchesPatterns(patterns, `${path}/${more}`)).toBe(true)
      expect(matchesPatterns(patterns, `${path}x`)).toBe(false)
    }),
  )
})

test('a pattern made to backtrack costs no more than path times pattern', () => {
  const patterns = parsePatterns(`${'*a'.repeat(500)}*b`)
  expect(matchesPatterns(patterns, 'a'.repeat(5000))).toBe(false)
  expect(matchesPatterns(patterns, `${'a'.repeat(5000)}b`)).toBe(true)
})

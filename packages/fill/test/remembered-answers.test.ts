import { ModuleNotFoundError } from '@modmesh/fill'
import { expect, test } from 'vitest'
import { type Remembered, RememberedAnswers } from '../src/remembered-answers.ts'

function found(size: number, isUpstreams = true): Remembered {
  return { kind: 'found', bytes: new Uint8Array(size), source: { kind: 'store' }, isUpstreams }
}

test('an answer is fresh until its time, and stale after it', () => {
  const answers = new RememberedAnswers()
  answers.remember('a', found(3), 100)
  expect(answers.fresh('a', 99)).toEqual(found(3))
  expect(answers.fresh('a', 100)).toBeUndefined()
  expect(answers.stale('a')).toEqual(new Uint8Array(3))
})

test("only upstream's own answers stand in for it later", () => {
  const answers = new RememberedAnswers()
  answers.remember('a', found(3, false), 100)
  answers.remember('b', { kind: 'not-found', error: new ModuleNotFoundError('b') }, 100)
  expect(answers.stale('a')).toBeUndefined()
  expect(answers.stale('b')).toBeUndefined()
})

test('a flood of names pushes out the oldest', () => {
  const answers = new RememberedAnswers({ answers: 10, bytes: 1e9 })
  for (let i = 0; i < 1000; i++) answers.remember(`${i}`, found(1), 100)
  expect(answers.fresh('989', 0)).toBeUndefined()
  expect(answers.fresh('990', 0)).toBeDefined()
})

test('a flood of bytes pushes out the oldest, and one too large is not kept', () => {
  const answers = new RememberedAnswers({ answers: 1000, bytes: 100 })
  for (let i = 0; i < 10; i++) answers.remember(`${i}`, found(40), 100)
  expect(answers.fresh('7', 0)).toBeUndefined()
  expect(answers.fresh('8', 0)).toBeDefined()
  answers.remember('large', found(101), 100)
  expect(answers.fresh('large', 0)).toBeUndefined()
  answers.remember('small', found(1), 100)
  expect(answers.fresh('small', 0)).toBeDefined()
})

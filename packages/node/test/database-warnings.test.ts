import { SumdbForkError } from '@modmesh/sumdb'
import { expect, test } from 'vitest'
import { databaseWarnings } from '../src/database-warnings.ts'

const well = { name: 'sum.test', fork: undefined, refusedAnswers: 0, lastRefusal: undefined }
const folder = '/d/sumdb/v1/sum.test'

test('a database that does well is no warning', () => {
  expect(databaseWarnings(well, folder)).toEqual([])
})

test('refused answers are a warning with the last, the proof and what to do', () => {
  const lastRefusal = { path: '/lookup/example.com/m@v1.0.0', reason: 'bad signature' }
  const [one = '', ...rest] = databaseWarnings({ ...well, refusedAnswers: 1, lastRefusal }, folder)
  expect(rest).toEqual([])
  expect(one).toContain('sum.test gave an answer that did not verify')
  expect(one).toContain('/lookup/example.com/m@v1.0.0: bad signature')
  expect(one).toContain('/d/sumdb/v1/sum.test/refused')
  expect(one).toContain('report it')
  const [many = ''] = databaseWarnings({ ...well, refusedAnswers: 7, lastRefusal }, folder)
  expect(many).toContain('gave 7 answers')
})

test('a fork is a warning with both notes and the way back', () => {
  const fork = new SumdbForkError('two trees', { ours: 'ours', theirs: 'theirs' })
  const [text = ''] = databaseWarnings({ ...well, fork }, folder)
  expect(text).toContain('nothing new is trusted, what was proven before is served')
  expect(text).toContain('/d/sumdb/v1/sum.test/fork')
  expect(text).toContain('To trust it again')
})

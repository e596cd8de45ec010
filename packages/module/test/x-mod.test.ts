import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { answer, type Question } from './support/answers.ts'

/** What golang.org/x/mod v0.42.0 answers, written by testdata/x-mod/main.go; after its tests' tables. */
const file = join(import.meta.dirname, '../testdata/x-mod/answers.jsonl')
const answers = readFileSync(file, 'utf8').trimEnd().split('\n').map(parseAnswer)

describe('our answers are those of golang.org/x/mod', () => {
  test.for(Array.from(Map.groupBy(answers, ({ op }) => op)))('%s', ([, group]) => {
    for (const question of group) {
      const ours = JSON.parse(JSON.stringify(answer(question) ?? null)) as unknown
      expect(complete(ours, question.want), JSON.stringify(question.a)).toEqual(question.want)
    }
  })
})

/** Of a go.mod that strict Parse refuses, x/mod says nothing on what ParseLax skips. */
function complete(ours: unknown, want: unknown): unknown {
  if (!isObject(ours) || !isObject(want)) return ours
  return Object.fromEntries(Object.entries(ours).filter(([key]) => key in want))
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parseAnswer(line: string): Question & { readonly want: unknown } {
  return JSON.parse(line) as Question & { readonly want: unknown }
}

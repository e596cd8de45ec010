import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { subjects } from '../conformance/cases/index.ts'
import { nodeInProcess } from '../conformance/launch-node.ts'
import { runCase } from '../conformance/run-case.ts'

/** Times of the cases are those of a quiet machine; this one runs ten at once, beside whatever else. */
const patience = 5

/** Most cases wait for something. */
vi.setConfig({ maxConcurrency: 10 })

describe.concurrent.each(subjects)('conformance: $name', ({ cases }) => {
  // A table would cut the names.
  for (const testCase of cases) {
    test(testCase.name, async () => {
      const dir = await mkdtemp(join(tmpdir(), 'modmesh-case-'))
      try {
        const outcome = await runCase(nodeInProcess, testCase, { tag: 'case', dir, patience })
        expect(outcome).toEqual({ kind: 'passed' })
      } finally {
        await rm(dir, { recursive: true, force: true })
      }
    })
  }
})

test('there are more than 100 cases, each with a name of its own', () => {
  const names = subjects.flatMap(({ cases }) => cases.map(({ name }) => name))
  expect(new Set(names).size).toBe(names.length)
  expect(names.length).toBeGreaterThan(100)
})

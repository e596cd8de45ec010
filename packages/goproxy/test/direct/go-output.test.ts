import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../../../../test/support/any-text.ts'
import { type GoModule, parseGoModules } from '../../src/direct/go-output.ts'

const nothing: GoModule = {
  path: 'git.test/x',
  version: undefined,
  query: undefined,
  versions: [],
  goMod: undefined,
  info: undefined,
  zip: undefined,
  error: undefined,
  origin: undefined,
}

/** As go writes objects: indented by a tab, one behind the other. */
function write(...objects: readonly object[]): string {
  return objects.map((object) => `${JSON.stringify(object, null, '\t')}\n`).join('')
}

describe('what go says of modules', () => {
  test('is read object by object', () => {
    const origin = { VCS: 'git', URL: 'https://git.test/x', Hash: 'abc', Ref: 'refs/tags/v1.0.0' }
    const output = write(
      { Path: 'git.test/x', Version: 'v1.0.0', Query: 'latest', GoMod: '/m', Origin: origin },
      { Path: 'git.test/x', Versions: ['v1.0.0', 'v1.1.0'] },
      { Path: 'git.test/x', Version: 'v1.0.0', Info: '/i', GoMod: '/m', Zip: '/z', Sum: 'h1:x=' },
    )
    expect(parseGoModules(output)).toEqual([
      {
        ...nothing,
        version: 'v1.0.0',
        query: 'latest',
        goMod: '/m',
        origin: { vcs: 'git', url: 'https://git.test/x' },
      },
      { ...nothing, versions: ['v1.0.0', 'v1.1.0'] },
      { ...nothing, version: 'v1.0.0', info: '/i', goMod: '/m', zip: '/z' },
    ])
  })

  test.for([
    { of: 'go list', error: { Err: 'no such thing' }, text: 'no such thing' },
    { of: 'go mod download', error: 'no such thing', text: 'no such thing' },
    { of: 'a newer go', error: { Message: 'other' }, text: 'unknown error' },
  ])('is an error in the form of $of', ({ error, text }) => {
    const [module] = parseGoModules(write({ Path: 'git.test/x', Error: error }))
    expect(module).toEqual({ ...nothing, error: text })
  })

  test('may hold braces and lines in its texts', () => {
    const error = 'a\n{\n}\n{"Path":"git.test/evil"}\n}'
    const output = write({ Path: 'git.test/x', Error: { Err: error } }, { Path: 'git.test/y' })
    expect(parseGoModules(output)).toEqual([
      { ...nothing, error },
      { ...nothing, path: 'git.test/y' },
    ])
  })

  test('is found between lines that are not its own', () => {
    const output = `go: downloading\n${write({ Path: 'git.test/x' })}warning {\n${write({ Path: 'git.test/y' })}`
    expect(parseGoModules(output).map(({ path }) => path)).toEqual(['git.test/x', 'git.test/y'])
  })

  test.for([
    { what: 'nothing', output: '' },
    { what: 'cut short', output: write({ Path: 'git.test/x' }).slice(0, -3) },
    { what: 'no object', output: '[1]\n"x"\nnull\n' },
    { what: 'broken', output: '{\n\t"Path": git.test/x\n}\n' },
  ])('is nothing when it is $what', ({ output }) => {
    expect(parseGoModules(output)).toEqual([])
  })

  test('with fields of other kinds is read without them', () => {
    const odd = {
      Path: 7,
      Version: ['v1.0.0'],
      Versions: 'v1.0.0',
      GoMod: {},
      Zip: '',
      Error: 3,
      Origin: { VCS: 'git' },
      __proto__: { Version: 'v6.6.6' },
    }
    expect(parseGoModules(write(odd))).toEqual([{ ...nothing, path: '' }])
    const versions = parseGoModules(write({ Path: 'git.test/x', Versions: ['v1.0.0', 7, null] }))
    expect(versions).toEqual([{ ...nothing, versions: ['v1.0.0'] }])
  })

  test('is read back whatever the texts are', () => {
    const text = anyText({ minLength: 1 })
    fc.assert(
      fc.property(fc.array(fc.record({ Path: text, Version: text, Error: text })), (objects) => {
        expect(
          parseGoModules(write(...objects)).map(({ path, version, error }) => ({
            Path: path,
            Version: version,
            Error: error,
          })),
        ).toEqual(objects)
      }),
    )
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import { openLog } from '../src/log.ts'
import { escapeInvisible, printableName } from '../src/printable.ts'

const foreignText = fc.oneof(
  anyText(),
  fc.string({
    unit: fc.constantFrom(
      '\u001b',
      '\u0085',
      '\u007f',
      '\u2028',
      '\u202e',
      '\ud800',
      '\u{e0041}',
      '"',
      'a',
    ),
  }),
)
const dangerous =
  /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u00ad\u200b-\u200f\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/u

describe('text of unknown origin', () => {
  test('never reaches a terminal with anything invisible in it', () => {
    fc.assert(
      fc.property(foreignText, (text) => {
        expect(escapeInvisible(text)).not.toMatch(dangerous)
        expect(printableName(text)).not.toMatch(dangerous)
      }),
    )
  })

  test('is left alone when it is harmless', () => {
    expect(escapeInvisible('golang.org/x/text@v1 Grüße 日本')).toBe(
      'golang.org/x/text@v1 Grüße 日本',
    )
  })

  test('is cut when it is long', () => {
    expect(printableName('x'.repeat(300))).toBe(`${'x'.repeat(256)}…`)
  })

  test('becomes one parseable line of the log, whatever it is', () => {
    fc.assert(
      fc.property(foreignText, (text) => {
        const lines: string[] = []
        openLog('info', (line) => lines.push(line)).info({ peer: text }, text)
        expect(lines).toHaveLength(1)
        const line = lines[0]!
        expect(line.slice(0, -1)).not.toMatch(dangerous)
        expect(line.endsWith('\n')).toBe(true)
        const entry = JSON.parse(line) as { msg: string; peer: string }
        expect(entry.msg.toWellFormed()).toBe(text.toWellFormed())
        expect(entry.peer.toWellFormed()).toBe(text.toWellFormed())
      }),
    )
  })
})

describe('the log', () => {
  test('keeps silent below its level', () => {
    const lines: string[] = []
    const log = openLog('warn', (line) => lines.push(line))
    log.info('no')
    log.warn('yes')
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['yes'])
  })
})

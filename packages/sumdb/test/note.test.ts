import { describe, expect, test } from 'vitest'
import { openNote, openTreeHead, parseVerifierKey } from '../src/index.ts'
import { FakeSumdb } from '../testing/index.ts'

const realKey = 'sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8'
// Recorded from https://sum.golang.org/latest.
const realNote =
  'go.sum database tree\n71769961\nO0jlIxwRb2vZYS1na726XLlaDCtCqKUVLld+AY32AGA=\n\n' +
  '— sum.golang.org Az3grufbQia/eVmOpUINcw1UBa6rB6ikK2tQHD1unUUvIMEXtMyuoYzc+kL7vaGESkPcmXTD1s5Cu55o14FrOYfragA=\n'

const fake = new FakeSumdb()
const { key } = fake
const note = fake.signNote('hello\nworld\n')
const signature = note.slice(note.lastIndexOf('\n\n') + 2)

describe('verifier keys', () => {
  test('the key of sum.golang.org is read', () => {
    expect(parseVerifierKey(realKey)).toMatchObject({
      name: 'sum.golang.org',
      hash: 0x033de0ae,
      text: realKey,
    })
  })

  test.for([
    ['no plus', 'sum.golang.org'],
    ['one plus', 'sum.golang.org+033de0ae'],
    ['no name', realKey.slice('sum.golang.org'.length)],
    ['a space in the name', realKey.replace('sum.golang.org', 'sum golang.org')],
    ['a lone surrogate in the name', realKey.replace('sum', '\ud800')],
    ['a short hash', realKey.replace('+033de0ae', '+33de0ae')],
    ['a hash that is not hex', realKey.replace('+033de0ae', '+033de0ag')],
    ['another hash', realKey.replace('+033de0ae', '+033de0af')],
    ['another name', realKey.replace('golang', 'gulang')],
    ['another key', realKey.replace('Ac4z', 'Ac4y')],
    ['an unknown algorithm', realKey.replace('Ac4z', 'As4z')],
    ['base64 without padding', `${realKey}A`],
    ['a key that is too long', `${realKey}AAAA`],
    ['no key', 'sum.golang.org+033de0ae+'],
  ])('a key with %s is refused', ([, text]) => {
    expect(() => parseVerifierKey(text!)).toThrow(
      expect.objectContaining({ code: 'INVALID_VERIFIER_KEY' }),
    )
  })
})

describe('signed notes', () => {
  test('a recorded note of sum.golang.org opens with its real key', () => {
    const head = openTreeHead(realNote, parseVerifierKey(realKey))
    expect(head.size).toBe(71_769_961)
    expect(Buffer.from(head.root).toString('base64')).toBe(
      'O0jlIxwRb2vZYS1na726XLlaDCtCqKUVLld+AY32AGA=',
    )
    expect(head.note).toBe(realNote)
  })

  test('every changed character of a real note is refused', () => {
    const real = parseVerifierKey(realKey)
    for (let i = 0; i < realNote.length; i++) {
      const other = String.fromCharCode(realNote.charCodeAt(i) ^ 1)
      const changed = realNote.slice(0, i) + other + realNote.slice(i + 1)
      expect(() => openTreeHead(changed, real), `character ${i}`).toThrow(
        expect.objectContaining({ code: 'SUMDB_UNTRUSTED' }),
      )
    }
  })

  test('the text is what was signed, up to the last blank line', () => {
    expect(openNote(note, key)).toEqual({ text: 'hello\nworld\n', note })
    const blank = fake.signNote('a\n\nb\n')
    expect(openNote(blank, key).text).toBe('a\n\nb\n')
    expect(openNote(fake.signNote('\ufefftext\n'), key).text).toBe('\ufefftext\n')
  })

  test('signatures of strangers are left out of the opened note', () => {
    const stranger = new FakeSumdb({ name: 'witness', seed: 'other' }).signNote('hello\nworld\n')
    const theirs = stranger.slice(stranger.lastIndexOf('\n\n') + 2)
    expect(openNote(note + theirs, key).note).toBe(note)
    expect(openNote(`hello\nworld\n\n${theirs}${signature}`, key).note).toBe(note)
  })

  test('a key of the same name and another hash is a stranger', () => {
    const namesake = new FakeSumdb({ seed: 'other' })
    expect(namesake.name).toBe(fake.name)
    expect(() => openNote(namesake.signNote('hello\nworld\n'), key)).toThrow('not signed by')
    const both = note + namesake.signNote('hello\nworld\n').split('\n\n')[1]
    expect(openNote(both, key).note).toBe(note)
  })

  const strangers = (count: number) => '— someone AAAAAAAA\n'.repeat(count)
  test('a hundred signatures are read and one more is refused', () => {
    expect(openNote(`hello\nworld\n\n${strangers(99)}${signature}`, key).note).toBe(note)
    expect(() => openNote(`hello\nworld\n\n${strangers(100)}${signature}`, key)).toThrow('too many')
  })

  test('a million bytes are read and more are refused', () => {
    const frame = fake.signNote('\n').length - 1 + Buffer.byteLength('—') - 1
    const longest = fake.signNote(`${'x'.repeat(1_000_000 - frame - 1)}\n`)
    expect(Buffer.byteLength(longest)).toBe(1_000_000)
    expect(openNote(longest, key).note).toBe(longest)
    expect(() => openNote(fake.signNote(`${'x'.repeat(1_000_000 - frame)}\n`), key)).toThrow(
      'too long',
    )
    expect(() => openNote(fake.signNote(`${'é'.repeat(600_000)}\n`), key)).toThrow('too long')
    expect(() => openNote('x'.repeat(1_000_001), key)).toThrow('too long')
  })

  test.for([
    ['nothing', ''],
    ['no signature', 'hello\nworld\n'],
    ['an empty signature block', 'hello\nworld\n\n'],
    ['a signature without line end', note.slice(0, -1)],
    ['a dash in place of the em dash', note.replace('— ', '- ')],
    ['no space after the dash', note.replace('— ', '—')],
    ['no name', note.replace('— sum.test ', '— ')],
    ['an empty name', note.replace('— sum.test ', '—  ')],
    ['a plus in a name', `${note}— some+one AAAAAAAA\n`],
    ['a short signature', `${note}— someone AAAAAA==\n`],
    ['an empty signature', `${note}— someone \n`],
    ['a signature that is not base64', `${note}— someone AAAA*AAA\n`],
    [
      'a signature with odd last bits',
      note.replace(/=\n$/, '').replace(/.$/, (c) => `${c === 'B' ? 'C' : 'B'}=\n`),
    ],
    ['a blank line after the signatures', `${note}\n`],
    ['another text', note.replace('world', 'World')],
    ['a control character', fake.signNote('hello\tworld\n')],
    ['a carriage return', fake.signNote('hello\r\n')],
    ['a lone surrogate', note.replace('world', 'w\ud800rld')],
  ])('a note with %s is refused', ([, text]) => {
    expect(() => openNote(text!, key)).toThrow(expect.objectContaining({ code: 'SUMDB_UNTRUSTED' }))
  })

  test('a good signature does not excuse a bad one of the same key before it', () => {
    const bad = signature.replace(/.(?==?\n$)/, (c) => (c === 'A' ? 'B' : 'A'))
    const worse = signature.slice(0, 40) + (signature[40] === 'A' ? 'B' : 'A') + signature.slice(41)
    expect(bad).not.toBe(signature)
    expect(() => openNote(`hello\nworld\n\n${worse}${signature}`, key)).toThrow('is wrong')
  })
})

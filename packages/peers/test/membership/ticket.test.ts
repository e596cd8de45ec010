import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { signInvite } from '../../src/membership/certificate.ts'
import { newSeed, publicKeyOf } from '../../src/membership/ed25519.ts'
import { maxTicketChars } from '../../src/membership/limits.ts'
import type { Ticket } from '../../src/membership/ticket.ts'
import { formatTicket, parseTicket } from '../../src/membership/ticket.ts'

const rootSeed = newSeed()
const seed = newSeed()

function ticket(changes: Partial<Ticket> = {}): Ticket {
  const invite = {
    v: 1 as const,
    serial: new Uint8Array(16),
    key: publicKeyOf(seed),
    from: 0,
    until: 1_900_000_000_000,
    roles: [],
  }
  const root = publicKeyOf(rootSeed)
  const addresses = ['/ip4/192.0.2.1/tcp/4771']
  return { root, seed, invite: signInvite(invite, rootSeed), addresses, ...changes }
}

function problem(name: string) {
  return expect.objectContaining({ code: 'INVALID_TICKET', problem: name })
}

test('a ticket is one word that says what it is', () => {
  expect(formatTicket(ticket())).toMatch(/^modmesh1[A-Za-z0-9_-]+$/)
})

test('what was printed is read back', () => {
  const original = ticket()
  expect(parseTicket(formatTicket(original)).ticket).toEqual(original)
})

test('white space from a terminal or a file does not matter', () => {
  const text = formatTicket(ticket())
  const wrapped = `  ${text.slice(0, 5)}\r\n${text.slice(5, 80)}\n\t${text.slice(80)}\n`
  expect(parseTicket(wrapped).ticket).toEqual(ticket())
})

describe('each kind of wrong text has its own words', () => {
  const text = formatTicket(ticket())
  test.for<[string, string, string]>([
    ['nothing', '', 'not-a-ticket'],
    ['an address', '/ip4/192.0.2.1/tcp/4771', 'not-a-ticket'],
    ['a ticket of a later version', text.replace('modmesh1', 'modmesh2'), 'version'],
    ['the prefix alone', 'modmesh1', 'truncated'],
    ['half of the prefix', 'modmesh', 'truncated'],
    ['a ticket without its end', text.slice(0, -1), 'truncated'],
    ['a ticket cut in the middle', text.slice(0, 200), 'truncated'],
    ['a foreign character', `${text.slice(0, 50)}!${text.slice(51)}`, 'damaged'],
    ['two tickets in one', text + text.slice(8), 'damaged'],
    ['a book', 'modmesh1'.padEnd(maxTicketChars + 1, 'A'), 'too-long'],
  ])('%s', ([, wrong, name]) => {
    expect(() => parseTicket(wrong)).toThrow(problem(name))
  })
})

test('any changed character is noticed', () => {
  const text = formatTicket(ticket())
  fc.assert(
    fc.property(fc.integer({ min: 8, max: text.length - 2 }), (at) => {
      const other = text[at] === 'A' ? 'B' : 'A'
      expect(() => parseTicket(text.slice(0, at) + other + text.slice(at + 1))).toThrow(
        expect.objectContaining({ code: 'INVALID_TICKET' }),
      )
    }),
  )
})

test('a ticket that its mesh did not sign is refused', () => {
  const forged = formatTicket(ticket({ root: publicKeyOf(newSeed()) }))
  expect(() => parseTicket(forged)).toThrow(problem('bad-signature'))
})

test('a ticket whose key is not the invited one is refused', () => {
  expect(() => parseTicket(formatTicket(ticket({ seed: newSeed() })))).toThrow(
    problem('bad-signature'),
  )
})

test('an error never shows the ticket, which is a secret', () => {
  const text = formatTicket(ticket())
  for (const wrong of [text.slice(0, -1), `${text}AAAA`, `x${text}`]) {
    expect(() => parseTicket(wrong)).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(text.slice(20, 40)) }),
    )
  }
})

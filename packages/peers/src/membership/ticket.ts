import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { isEqual } from './bytes.ts'
import { decodeFields, encodeFields, exactBytes, plainText, someBytes } from './canonical-cbor.ts'
import type { Invite, SignedBody } from './certificate.ts'
import { isInviteSigned, parseInvite, signedBodySchema } from './certificate.ts'
import { parseChain } from './chain.ts'
import { keyBytes, publicKeyOf } from './ed25519.ts'
import { InvalidTicketError, NotAMemberError } from './errors.ts'
import {
  maxAddressChars,
  maxChainBytes,
  maxRotations,
  maxTicketAddresses,
  maxTicketChars,
} from './limits.ts'
import { publicKeyOfPeer } from './peer-key.ts'
import { extendRoots, lastOf, proveChain } from './proof.ts'
import { mayAdmit } from './roles.ts'

const prefix = 'modmesh'
const version = '1'
const checksumBytes = 4
const lengthBytes = 2
const checksumDomain = 'modmesh ticket 1\n'
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** What a ticket carries. Whoever holds it can join until the invite expires. */
export interface Ticket {
  readonly root: Uint8Array
  /** Seed of the invite key. */
  readonly seed: Uint8Array
  readonly invite: SignedBody
  /** Chain of the member that signed the invite; absent: the root did. */
  readonly issuer?: Uint8Array | undefined
  /** Changes of the root, in order. */
  readonly rotations?: readonly SignedBody[] | undefined
  /** Multiaddrs with peer id, best first. */
  readonly addresses: readonly string[]
}

const ticketSchema = v.looseObject({
  v: v.literal(1),
  root: exactBytes(keyBytes),
  seed: exactBytes(keyBytes),
  invite: signedBodySchema,
  issuer: v.optional(someBytes(maxChainBytes)),
  rotations: v.optional(v.pipe(v.array(signedBodySchema), v.maxLength(maxRotations))),
  addresses: v.pipe(v.array(plainText(maxAddressChars)), v.maxLength(maxTicketAddresses)),
})

/**
 * Prints a ticket: `modmesh1` and base64url of length, CBOR and checksum. Leaves out the last
 * addresses when a long chain of inviters would make it too long.
 */
export function formatTicket(ticket: Ticket): string {
  const text = format(ticket)
  if (text.length <= maxTicketChars || ticket.addresses.length === 0) return text
  return formatTicket({ ...ticket, addresses: ticket.addresses.slice(0, -1) })
}

function format(ticket: Ticket): string {
  const { root, seed, invite, issuer, rotations = [], addresses } = ticket
  const content = encodeFields({
    v: 1,
    root,
    seed,
    invite: [invite.body, invite.signature],
    issuer,
    rotations:
      rotations.length === 0
        ? undefined
        : rotations.map(({ body, signature }) => [body, signature]),
    addresses: [...addresses],
  })
  const framed = Buffer.alloc(lengthBytes + content.byteLength + checksumBytes)
  framed.writeUInt16BE(content.byteLength)
  framed.set(content, lengthBytes)
  framed.set(checksum(content), lengthBytes + content.byteLength)
  return `${prefix}${version}${framed.toString('base64url')}`
}

/**
 * Reads a ticket as people paste it (white space anywhere is ignored) and checks its signatures,
 * but not its times. Throws InvalidTicketError, whose message never shows the ticket.
 */
export function parseTicket(text: string): { ticket: Ticket; invite: Invite } {
  const content = unframe(decodeBase64url(payloadOf(text)))
  const ticket = malformed(() => toTicket(v.parse(ticketSchema, decodeFields(content))))
  if (!isSignedByMesh(ticket)) {
    throw new InvalidTicketError('bad-signature', 'the ticket is not signed by its mesh')
  }
  const invite = malformed(() => parseInvite(ticket.invite.body))
  if (!isEqual(publicKeyOf(ticket.seed), invite.key)) {
    throw new InvalidTicketError('bad-signature', 'the key in the ticket is not the invited one')
  }
  return { ticket, invite }
}

function isSignedByMesh({ root, invite, issuer, rotations = [] }: Ticket): boolean {
  try {
    const roots = extendRoots([root], rotations)
    if (issuer === undefined) return roots.some((key) => isInviteSigned(invite, key))
    const proof = proveChain(parseChain(issuer), roots)
    const key = publicKeyOfPeer(lastOf(proof.peers))
    return mayAdmit(proof.roles) && key !== undefined && isInviteSigned(invite, key)
  } catch (error) {
    if (error instanceof NotAMemberError) return false
    throw error
  }
}

/** Checks that a ticket's invite still admits. Throws InvalidTicketError. */
export function checkTicketTimes(invite: Invite, nowMs: number): void {
  if (invite.until === undefined || nowMs < invite.until) return
  const when = new Date(invite.until).toISOString()
  throw new InvalidTicketError('expired', `the ticket expired at ${when}; ask for a new one`)
}

function payloadOf(text: string): string {
  // The limit counts what was pasted, so that a huge file is never scanned.
  if (text.length > maxTicketChars) {
    throw new InvalidTicketError('too-long', 'the text is too long for a ticket')
  }
  const packed = withoutSpace(text)
  if (!packed.startsWith(prefix)) {
    throw new InvalidTicketError('not-a-ticket', `a ticket begins with ${prefix}${version}`)
  }
  if (packed === prefix) throw truncated()
  if (packed[prefix.length] !== version) {
    throw new InvalidTicketError('version', 'the ticket is of a version that this program lacks')
  }
  return packed.slice(prefix.length + 1)
}

function withoutSpace(text: string): string {
  let packed = ''
  for (const char of text) {
    if (char !== ' ' && char !== '\n' && char !== '\r' && char !== '\t') packed += char
  }
  return packed
}

function decodeBase64url(payload: string): Buffer {
  for (const char of payload) {
    if (!alphabet.includes(char)) {
      throw new InvalidTicketError('damaged', 'the ticket holds characters that no ticket has')
    }
  }
  return Buffer.from(payload, 'base64url')
}

function unframe(framed: Buffer): Uint8Array {
  if (framed.byteLength < lengthBytes) throw truncated()
  const end = lengthBytes + framed.readUInt16BE(0)
  if (framed.byteLength < end + checksumBytes) throw truncated()
  const content = framed.subarray(lengthBytes, end)
  const tail = framed.subarray(end)
  if (tail.byteLength !== checksumBytes || Buffer.compare(tail, checksum(content)) !== 0) {
    throw new InvalidTicketError('damaged', 'the ticket is damaged; copy it again')
  }
  return new Uint8Array(content)
}

function toTicket(fields: v.InferOutput<typeof ticketSchema>): Ticket {
  const [body, signature] = fields.invite
  return {
    root: fields.root,
    seed: fields.seed,
    invite: { body, signature },
    issuer: fields.issuer,
    rotations: fields.rotations?.map(([header, by]) => ({ body: header, signature: by })),
    addresses: fields.addresses,
  }
}

function checksum(content: Uint8Array): Uint8Array {
  const hash = createHash('sha256').update(checksumDomain).update(content).digest()
  return hash.subarray(0, checksumBytes)
}

function truncated(): InvalidTicketError {
  return new InvalidTicketError('truncated', 'the ticket is cut off; copy all of it')
}

function malformed<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new InvalidTicketError('malformed', 'the ticket is malformed', { cause })
  }
}

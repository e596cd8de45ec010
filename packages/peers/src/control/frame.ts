import { type DecodeOptions, decode, encode, type Token, Tokenizer } from 'cborg'
import { ProtocolError } from '../errors.ts'
import { checkMessage, type UnknownMessage } from './check-message.ts'
import { controlLimits } from './limits.ts'
import type { Message } from './message.ts'

const strict: DecodeOptions = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
}

/** Counts items as they are read: 256 KiB of empty maps would become 15 MB of objects. */
class CountingTokenizer extends Tokenizer {
  #left: number = controlLimits.frameItems

  override next(): Token {
    this.#left -= 1
    if (this.#left < 0) throw new ProtocolError('too many items in one frame')
    return super.next()
  }
}

/** Writes a message as one frame's content. Throws ProtocolError beyond the frame limit. */
export function encodeMessage(message: Message): Uint8Array {
  const frame = encode(message, { ignoreUndefinedProperties: true })
  if (frame.byteLength > controlLimits.frameBytes) {
    throw new ProtocolError(
      `${message.kind} of ${frame.byteLength} bytes is beyond the frame limit`,
    )
  }
  return frame
}

/** Reads one frame's content; unknown kinds and fields are allowed. Throws ProtocolError and nothing else. */
export function decodeMessage(frame: Uint8Array): Message | UnknownMessage {
  if (frame.byteLength > controlLimits.frameBytes) throw new ProtocolError('frame too long')
  const message = checkMessage(decodeItem(frame))
  if (message === undefined) throw new ProtocolError('frame is not a message')
  return message
}

/** Reads one CBOR item strictly and within the item limit. Throws ProtocolError. */
export function decodeItem(frame: Uint8Array): unknown {
  try {
    const plain = new Uint8Array(frame.buffer, frame.byteOffset, frame.byteLength)
    return decode(plain, { ...strict, tokenizer: new CountingTokenizer(plain, strict) })
  } catch (error) {
    if (error instanceof ProtocolError) throw error
    throw new ProtocolError('frame is not CBOR', { cause: error })
  }
}

import { asError } from './errors.ts'
import type { FillContext } from './fill-context.ts'
import type { Answer } from './module-source.ts'
import type { Proof } from './proof.ts'
import type { HeldZip } from './zip-store.ts'
import type { VerifiedZip } from './zip-transfer.ts'

/**
 * Answers with what was verified; the commit goes on behind, and nobody is told of the zip before its end.
 * `onReadable` gets it before the commit begins.
 */
export async function commitZip(
  ctx: FillContext,
  { staged, source }: Omit<VerifiedZip, 'zipHash'>,
  proof: Proof,
  onReadable: (zip: HeldZip) => void = () => {},
): Promise<Answer<HeldZip>> {
  const value = staged.readable(proof)
  onReadable(value)
  await ctx.held.keepZip(value, makeDurable(ctx, { staged, source }, value))
  return { value, source }
}

/** What cannot be kept was still verified: it is answered, and told by an event. Never rejects. */
async function makeDurable(
  ctx: FillContext,
  { staged, source }: Omit<VerifiedZip, 'zipHash'>,
  { module, proof }: HeldZip,
): Promise<void> {
  try {
    const { size: bytes } = await staged.commit(proof)
    ctx.emit({ kind: 'committed', module, source, bytes })
  } catch (error) {
    ctx.background(staged.discard())
    ctx.emit({ kind: 'store-failed', module, error: asError(error) })
  }
}

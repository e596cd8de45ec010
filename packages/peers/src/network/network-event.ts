import type { Refusal } from '../gate/refusal.ts'

/** What the network tells a log. Strangers can cause `refused` at will: limit the rate of what you print. */
export type NetworkEvent =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'dial-failed'; readonly target: string; readonly message: string }
  | { readonly kind: 'dial-succeeded'; readonly target: string; readonly peer: string }
  | { readonly kind: 'member-expired'; readonly peer: string }
  | { readonly kind: 'member-revoked'; readonly peer: string; readonly message: string }
  | { readonly kind: 'hints-recreated'; readonly message: string }
  | { readonly kind: 'lan-discovery-failed'; readonly message: string }
  | { readonly kind: 'lan-peer-found'; readonly peer: string }

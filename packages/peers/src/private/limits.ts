/** How long members are told of a change together, milliseconds. */
export const secretDelayMs = 50

/** Names announced under one secret that are remembered, to be withdrawn under the next. */
export const maxAnnouncedNames = 100_000

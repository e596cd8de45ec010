/** How long members are told of a change together, milliseconds. */
export const secretDelayMs = 50

/** For how long a member, or a secret, that was found good is not looked at again, milliseconds. */
export const judgedMs = 10_000

/** Names announced under one secret that are remembered, to be withdrawn under the next. */
export const maxAnnouncedNames = 100_000

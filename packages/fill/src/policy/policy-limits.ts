/** How long a validator's word is believed, ms: one build asks for the same version many times. */
export const validatorVerdictMs = 60_000
/** How long a validator that failed is not asked, ms. */
export const validatorPauseMs = 2_000
/** Verdicts kept: a large build has some 2,000 module versions. */
export const maxCachedVerdicts = 20_000
/** Times of versions kept in memory; further ones are read from the store again. */
export const maxKnownTimes = 50_000
/** Release lines (v1.2.x) of one list whose newest versions are looked at for their age: older ones rest. */
export const maxAgedLines = 16
/** Versions of one list whose time upstream is asked for: each is a request. */
export const maxAgedVersions = 64
/** Look-ups of times at a time. */
export const maxParallelTimes = 8
/** Newest versions that are tried for `@latest`, and shown to the validator for a list. */
export const maxLatestTries = 16

/** TCP and TLS to a bucket, ms: one that is any use is near. */
export const s3ConnectMs = 2_000
/** First byte of an answer to a read, ms; the fill has gone on to upstream long before. */
export const s3FirstByteMs = 5_000
/** No progress in a body, ms. */
export const s3StallMs = 5_000
/** Answer to a write once its body is sent, ms: a bucket may copy it to other places first. */
export const s3WriteAnswerMs = 60_000

/** A request that was given up after this long without progress counts as failed, ms. */
export const s3SlowMs = 1_000
/** Failures in a row after which the bucket is left alone. */
export const s3MaxFailures = 3
/** How long it is left alone then, ms; doubled each time a trial fails. */
export const s3FirstRestMs = 2_000
/** The longest of these times, ms: a bucket that is back is used within a minute. */
export const s3LongestRestMs = 60_000

/** Further attempts of a read after 429, 5xx or a reset: nothing else may be left to ask. */
export const s3MaxRetries = 2
/** First pause before another attempt, ms; doubled each time, with jitter. */
export const s3BackoffMs = 50
/** Continuations of a zip whose body was cut. */
export const s3MaxRestarts = 2

/** A record with its proof, bytes: real ones are under 3 KiB. */
export const maxRecordBytes: number = 64 << 10
/** Hashes of one proof: a tree of 2^64 records has no longer one. */
export const maxProofHashes = 64
/** The longest key of S3, bytes. */
export const maxKeyBytes = 1_024
/** What is read of an error answer, bytes. */
export const maxS3ErrorBytes: number = 4 << 10
/** How often credentials are read again from their file, ms: other programs renew short-lived ones there. */
export const credentialsMs = 60_000

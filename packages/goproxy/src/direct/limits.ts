/** Children at once: each is a `go` with a `git` under it, some 60 MB together. */
export const maxRuns = 24
/** Children for one host at once, so that a slow one leaves room for others; servers dislike more, too. */
export const maxHostRuns = 8
/** A run that took this long, ms, waits for its host or brings much: others do not wait behind it. */
export const slowRunMs = 1_500
/** Slow runs at once, beside the others: they cost memory, and hardly anything else. */
export const maxSlowRuns = 32
/** How long a question waits for related ones that one child can answer with it, ms: go sends prefixes at once. */
export const gatherMs = 3
/** Modules asked of one child: a path has fewer prefixes than that. */
export const maxGathered = 32
/** How long it is known whether a path has versions, ms: go asks for the latest right after the list. */
export const recentListMs = 5_000
/** Between SIGTERM, on which git removes its locks, and SIGKILL, ms. */
export const killGraceMs = 2_000
/** What a dead child's grandchildren may still hold its pipes open, ms. */
export const pipeGraceMs = 500
/** What a child may write, bytes: a list of 200,000 versions as JSON. */
export const maxOutputBytes: number = 16 << 20
/** What is kept of a child's error output, bytes. */
export const maxErrorBytes: number = 32 << 10
/** Lines of an explanation that are passed on: the answer to `go` has eight in all. */
export const maxExplainedLines = 5
/** Characters of such a line. */
export const maxExplainedChars = 300

/** How long the .info and .mod that came along with another answer are kept, ms: go asks for them next. */
export const memoMs = 120_000
/** How much of them, bytes. */
export const maxMemoBytes: number = 16 << 20
/** Trees whose go.mod files are remembered. */
export const maxMemoTrees = 256

/** What the clones may take on disk, bytes; the ones used least recently go first. */
export const maxCloneBytes: number = 10 * 2 ** 30
/** Runs between two looks at the size of the clones. */
export const runsBetweenTidying = 200

import type { DeltaForm } from './zip-deltas.ts'

/**
 * What one core does in a second, bytes of content, measured on a slow host (reference wan-overlap, and the
 * notes of docs/protocols/delta.md). A rule needs the order of magnitude; the link is measured.
 */
const deltaSpeeds = {
  /** Packing in one frame. */
  packTogether: 150_000_000,
  /** Packing each file against the old one. */
  packAgainst: 120_000_000,
  /** Unpacking, hashing and deflating again. */
  unpack: 90_000_000,
  /** Inflating and hashing. */
  inflate: 350_000_000,
} as const

/** What of a zip's own bytes a form sends, as measured over real upgrades and first transfers. */
const shares = {
  /** Of changed files where both hold the old ones: 4 of 27 %. */
  P: 0.15,
  /** 10 of 27 % in an upgrade, 51 of 93 % at first. */
  S: 0.5,
  F: 1,
} as const

/** From a zip that packs its files to less than this, zstd takes as much as from any; in one that is mostly media, nothing. */
const packableShare = 0.4
const unpackableShare = 0.92

/** Zips below this are not told in parts at first: a manifest and another round trip cost more than they save. Bytes. */
const minDeltaBytes: number = 64 << 10
/** Where both hold an old version, a manifest has some bytes and a changed file, too. Bytes. */
const minSharedDeltaBytes: number = 4 << 10

/** What the sender knows when it decides whether to send the zip as it is. */
export interface WholeQuestion {
  readonly zipBytes: number
  readonly manifestBytes: number
  /** Of what the asker lacks, inflated and as in the zip. */
  readonly newBytes: number
  readonly newPackedBytes: number
  /** Both hold the base. */
  readonly isBaseShared: boolean
}

/** Whether a zip is cheaper sent whole, in the answer to the first question. */
export function isWholeCheaper(question: WholeQuestion): boolean {
  const { zipBytes, manifestBytes, newPackedBytes, isBaseShared } = question
  if (zipBytes < (isBaseShared ? minSharedDeltaBytes : minDeltaBytes)) return true
  const newShare = shareOf(isBaseShared ? 'P' : 'S', question)
  return manifestBytes + newPackedBytes * newShare > zipBytes * worthwhileShare
}

/** Below 5 % saved, the work is for nothing. */
const worthwhileShare = 0.95

/** What the asker knows when it decides how files are to come. */
export interface FormQuestion {
  /** Content of what is missing, and its size in the sender's zip, as the sender said. */
  readonly newBytes: number
  readonly newPackedBytes: number
  /** Bytes per second, measured. */
  readonly bytesPerSecond: number
  /** Whether both hold the old files. */
  readonly isBaseShared: boolean
}

/**
 * Picks the form in which files are there soonest: link, packing and unpacking go on at once, so the slowest
 * of them counts. Of forms that take as long within a tenth, the one with the fewest bytes.
 */
export function pickForm(question: FormQuestion): DeltaForm {
  const forms: readonly DeltaForm[] = question.isBaseShared ? ['P', 'S', 'F'] : ['S', 'F']
  const times = forms.map((form) => ({ form, seconds: secondsOf(form, question) }))
  const best = Math.min(...times.map(({ seconds }) => seconds))
  return times.find(({ seconds }) => seconds <= best * 1.1)?.form ?? 'S'
}

/** How much of the zip's own bytes a form is likely to send. */
function shareOf(
  form: DeltaForm,
  { newBytes, newPackedBytes }: Pick<FormQuestion, 'newBytes' | 'newPackedBytes'>,
): number {
  const packed = newBytes === 0 ? 1 : newPackedBytes / newBytes
  const media = (packed - packableShare) / (unpackableShare - packableShare)
  const share = shares[form]
  return form === 'S' ? share + (1 - share) * Math.min(1, Math.max(0, media)) : share
}

function secondsOf(form: DeltaForm, question: FormQuestion): number {
  const { newBytes, newPackedBytes, bytesPerSecond } = question
  const onLink = (newPackedBytes * shareOf(form, question)) / bytesPerSecond
  const { packTogether, packAgainst, unpack, inflate } = deltaSpeeds
  if (form === 'F') return Math.max(onLink, newBytes / inflate)
  const packing = newBytes / (form === 'S' ? packTogether : packAgainst)
  return Math.max(onLink, packing, newBytes / unpack)
}

import { formatBytes } from './byte-size.ts'
import type { UploadLine } from './upload-line.ts'

/** Writes what is given and what may be; undefined where nothing limits the rate and nothing is given. */
export function uploadText(uploads: UploadLine): string | undefined {
  const { streams, limits, wan, refused } = uploads
  if (streams === 0 && refused === 0 && !isLimited(wan)) return undefined
  const parts = [
    `${streams} of at most ${limits.streams} at once, ${rateText(uploads)}`,
    isLimited(wan) && rateText(wan) !== rateText(uploads) ? `to other sites ${rateText(wan)}` : '',
    refused === 0 ? '' : `told to wait ${refused} ${refused === 1 ? 'time' : 'times'}`,
  ]
  return parts.filter((part) => part !== '').join('; ')
}

function isLimited({ limits }: Pick<UploadLine, 'limits'>): boolean {
  return limits.bytesPerSecond !== null || limits.peerBytesPerSecond !== null
}

function rateText({
  bytesPerSecond,
  limits,
}: Pick<UploadLine, 'bytesPerSecond' | 'limits'>): string {
  const { bytesPerSecond: most, peerBytesPerSecond: mostPerPeer } = limits
  const now = `${formatBytes(bytesPerSecond)}/s`
  const ofAll = most === null ? now : `${now} of at most ${formatBytes(most)}/s`
  return mostPerPeer === null ? ofAll : `${ofAll}, ${formatBytes(mostPerPeer)}/s each`
}

import { countValue, rateValue } from './option-values.ts'
import type { OptionTable } from './settings.ts'

const group = 'Uploads'

/** Options about what this node gives to members. */
export const uploadOptions: OptionTable<
  | 'uploadRate'
  | 'uploadRatePeer'
  | 'uploadRateWan'
  | 'uploadRateWanPeer'
  | 'uploadStreams'
  | 'uploadStreamsPeer'
  | 'uploadStreamsWan'
  | 'uploadStreamsWanPeer'
> = {
  uploadRate: {
    group,
    kind: 'text',
    placeholder: 'RATE',
    help: 'bytes per second of zips given to all members together: 10MB/s',
    schema: rateValue,
    fallback: () => undefined,
    fallbackText: 'none',
  },
  uploadRatePeer: {
    group,
    kind: 'text',
    placeholder: 'RATE',
    help: 'of that, to one member',
    schema: rateValue,
    fallback: () => undefined,
    fallbackText: 'none',
  },
  uploadRateWan: {
    group,
    kind: 'text',
    placeholder: 'RATE',
    help: 'of that, to all members of other sites together',
    schema: rateValue,
    fallback: () => undefined,
    fallbackText: 'none',
  },
  uploadRateWanPeer: {
    group,
    kind: 'text',
    placeholder: 'RATE',
    help: 'of that, to one member of another site',
    schema: rateValue,
    fallback: () => undefined,
    fallbackText: 'none',
  },
  uploadStreams: {
    group,
    kind: 'text',
    placeholder: 'N',
    help: 'zips given at once; more are told to wait',
    schema: countValue(1, 1_000),
    fallback: () => undefined,
    fallbackText: '128',
  },
  uploadStreamsPeer: {
    group,
    kind: 'text',
    placeholder: 'N',
    help: 'of that, to one member',
    schema: countValue(1, 16),
    fallback: () => undefined,
    fallbackText: '16',
  },
  uploadStreamsWan: {
    group,
    kind: 'text',
    placeholder: 'N',
    help: 'of that, to all members of other sites together',
    schema: countValue(1, 1_000),
    fallback: () => undefined,
    fallbackText: 'as --upload-streams',
  },
  uploadStreamsWanPeer: {
    group,
    kind: 'text',
    placeholder: 'N',
    help: 'of that, to one member of another site',
    schema: countValue(1, 16),
    fallback: () => undefined,
    fallbackText: 'as --upload-streams-peer',
  },
}

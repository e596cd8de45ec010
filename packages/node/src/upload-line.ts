import type { MeshNode, UploadLimits, UploadUse } from '@modmesh/peers'
import type { Settings } from './settings.ts'

/** What is given to some members now, and what may be. */
interface UploadUseLine {
  /** Zips under way. */
  readonly streams: number
  /** Over the last seconds. */
  readonly bytesPerSecond: number
  /** As they hold: what a rate leaves room for included. Null for no limit. */
  readonly limits: {
    readonly bytesPerSecond: number | null
    readonly peerBytesPerSecond: number | null
    readonly streams: number
    readonly peerStreams: number
  }
}

/** What this node gives: to all members, and of that to those of other sites. */
export interface UploadLine extends UploadUseLine {
  readonly wan: UploadUseLine
  /** Requests since the start that were told to come again. */
  readonly refused: number
}

/** Shows what is given as `status` and `peers` do; null before there is a mesh node. */
export function uploadLine(mesh: MeshNode | undefined): UploadLine | null {
  if (mesh === undefined) return null
  const { all, wan, refused } = mesh.uploads()
  return { ...useLine(all), wan: useLine(wan), refused }
}

function useLine({ streams, bytesPerSecond, limits }: UploadUse): UploadUseLine {
  return {
    streams,
    bytesPerSecond,
    limits: {
      bytesPerSecond: limits.rate ?? null,
      peerBytesPerSecond: limits.peerRate ?? null,
      streams: limits.streams,
      peerStreams: limits.peerStreams,
    },
  }
}

/** What the settings say of uploads, as the mesh takes it. */
export function uploadLimits(settings: Settings): UploadLimits {
  return {
    all: {
      rate: settings.uploadRate,
      peerRate: settings.uploadRatePeer,
      streams: settings.uploadStreams,
      peerStreams: settings.uploadStreamsPeer,
    },
    wan: {
      rate: settings.uploadRateWan,
      peerRate: settings.uploadRateWanPeer,
      streams: settings.uploadStreamsWan,
      peerStreams: settings.uploadStreamsWanPeer,
    },
  }
}

import { promisify } from 'node:util'
import { constants, zstdCompress, zstdDecompress } from 'node:zlib'
import { DeltaRefusedError } from '@modmesh/fill'
import {
  InvalidFileError,
  type ManifestDifference,
  maxZipEntries,
  VarintReader,
  VarintWriter,
} from '@modmesh/module'
import { errnoOf } from '../errors.ts'
import { maxScriptBytes } from './limits.ts'

const compress = promisify(zstdCompress)
const decompress = promisify(zstdDecompress)

/** Writes a difference as it travels: the script packed, the hashes as they are. */
export async function packManifest({ script, hashes }: ManifestDifference): Promise<Uint8Array> {
  const level = script.length > shortScriptBytes ? longScriptLevel : shortScriptLevel
  const params = { [constants.ZSTD_c_compressionLevel]: level }
  const packed = await compress(script, { params })
  const out = new VarintWriter()
  out.number(script.length)
  out.number(packed.length)
  out.bytes(packed)
  out.bytes(hashes)
  return out.finish()
}

/** Reads what packManifest wrote. Throws DeltaRefusedError (lie); memory is bounded by what a zip may have. */
export async function unpackManifest(bytes: Uint8Array): Promise<ManifestDifference> {
  try {
    const reader = new VarintReader(bytes, 'packed manifest')
    const size = reader.number(maxScriptBytes)
    const packed = reader.bytes(reader.number(bytes.length))
    const hashes = reader.rest()
    if (hashes.length > maxZipEntries * 32) throw reader.fault('more hashes than a zip has files')
    const params = { [constants.ZSTD_d_windowLogMax]: scriptWindowLog }
    const limits = { params, maxOutputLength: Math.max(size, 1) }
    const script = await decompress(packed, limits)
    if (script.length !== size) throw reader.fault('another size than declared')
    return { script, hashes }
  } catch (error) {
    const code = errnoOf(error) ?? ''
    const isTheirs =
      error instanceof InvalidFileError ||
      code.startsWith('ZSTD_') ||
      code.startsWith('Z_') ||
      code === 'ERR_BUFFER_TOO_LARGE'
    if (!isTheirs) throw error
    throw new DeltaRefusedError('lie', 'a manifest that cannot be read', { cause: error })
  }
}

/** Names repeat each other: 19 takes some ms for a thousand of them, and saves a fifth. */
const shortScriptLevel = 19
const shortScriptBytes = 64 << 10
/** Of the largest modules 19 takes seconds, and 12 a tenth of one for 3 % more. */
const longScriptLevel = 12
/** Of level 19; the largest script has more, and needs no larger window. */
const scriptWindowLog = 23

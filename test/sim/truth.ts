import type { ProvenSums, RecordProof } from '@modmesh/fill'
import { MemoryLog } from '@modmesh/fill/twins'
import {
  formatModuleVersion,
  hashMod,
  type ModulePath,
  type ModuleVersion,
  parseModuleVersion,
  parseZipDigest,
  type ZipDigest,
  type ZipHash,
  ZipRulesError,
  zipHashFromBytes,
} from '@modmesh/module'
import { mix, type Rng } from './rng.ts'

/** A module version as it really is. */
export interface Release {
  readonly module: ModuleVersion
  readonly key: string
  readonly zip: Uint8Array
  readonly mod: Uint8Array
  readonly info: Uint8Array
  readonly isPrivate: boolean
  readonly sums: ProvenSums & { readonly record: RecordProof }
}

/** What the world really holds: the model every answer is compared with. */
export class Truth {
  readonly log = new MemoryLog()
  readonly releases: readonly Release[]
  readonly paths: readonly ModulePath[]
  /** A module version that nobody asks for before the end. */
  readonly late: Release
  /** Module versions that exist nowhere. */
  readonly missing: readonly ModuleVersion[]
  readonly #byKey = new Map<string, Release>()

  constructor(rng: Rng) {
    const releases: Release[] = []
    const paths = rng.between(1, 4)
    const versions = rng.between(1, 4)
    for (let path = 0; path < paths; path++) {
      for (let version = 0; version < versions; version++) {
        releases.push(this.#release(`example.com/m${path}`, `v1.${version}.0`, rng))
      }
    }
    releases.push(this.#release(privatePath, 'v1.0.0', rng))
    this.releases = releases
    this.late = this.#release('example.com/late', 'v1.0.0', rng)
    for (const release of [...releases, this.late]) this.#byKey.set(release.key, release)
    this.paths = [...new Set(releases.map((release) => release.module.path))]
    this.missing = [parseModuleVersion('example.com/m0', 'v1.9.0')]
  }

  find(module: ModuleVersion): Release | undefined {
    return this.#byKey.get(formatModuleVersion(module))
  }

  #release(path: string, version: string, rng: Rng): Release {
    const module = parseModuleVersion(path, version)
    const key = formatModuleVersion(module)
    const zip = new Uint8Array(64)
    for (let i = 0; i < zip.length; i++) zip[i] = 1 + rng.between(0, 255)
    const mod = encoder.encode(`module ${path}\n`)
    const info = encoder.encode(`{"Version":"${version}","Time":"2024-05-06T07:08:09Z"}`)
    const isPrivate = path === privatePath
    const sums = this.log.add(module, { zip: fastZipHash(module, zip), mod: hashMod(mod) })
    return { module, key, zip, mod, info, isPrivate, sums }
  }
}

/** The canary: no peer and no database may ever hear this path. */
export const privatePath = 'private.example/secret'

/** A stand-in for h1 that costs nothing: 256 bits mixed from every byte. A zip that begins with 0 breaks the rules. */
export function fastZipHash(_module: ModuleVersion, bytes: Uint8Array): ZipHash {
  if (bytes[0] === 0) throw new ZipRulesError('begins with 0')
  return zipHashFromBytes(fastDigest(bytes))
}

export function fastZipDigest(bytes: Uint8Array): ZipDigest {
  return parseZipDigest(Buffer.from(fastDigest(bytes)).toString('hex'))
}

function fastDigest(bytes: Uint8Array): Uint8Array {
  let low = bytes.length
  let high = 0x5bd1e995
  for (const byte of bytes) {
    low = Math.imul(low ^ byte, 0x01000193)
    high = mix(high + low)
  }
  const words = new Uint32Array(8)
  for (let i = 0; i < words.length; i++) words[i] = mix(low + Math.imul(i, high))
  return new Uint8Array(words.buffer)
}

const encoder = new TextEncoder()

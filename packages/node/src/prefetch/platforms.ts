import { UsageError } from '../errors.ts'

/** Reads `--toolchains`: alone it means the platform of this process. Throws UsageError. */
export function platformsOf(flag: string | true | undefined): readonly string[] {
  if (flag === undefined) return []
  if (flag === true) return [`${goOs()}-${goArch()}`]
  const platforms = flag.split(',')
  for (const platform of platforms) {
    if (platform.split('-').length !== 2) {
      throw new UsageError(`--toolchains: ${JSON.stringify(platform)} is not as linux-amd64`)
    }
  }
  return platforms
}

function goOs(): string {
  return process.platform === 'win32' ? 'windows' : process.platform
}

function goArch(): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386', ppc64: 'ppc64le' }
  return names[process.arch] ?? process.arch
}

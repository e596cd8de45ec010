import { isGoVersion, type ModuleVersion, parseModuleVersion } from '@modmesh/module'

/**
 * The module of the Go toolchain that a go.mod or go.work asks for, for a platform such as `linux-amd64`; undefined
 * before go 1.21, which knew no toolchains (golang.org/doc/toolchain).
 */
export function toolchainOf(
  { go, toolchain }: { readonly go: string | undefined; readonly toolchain: string | undefined },
  platform: string,
): ModuleVersion | undefined {
  const named = toolchain?.startsWith('go') === true ? toolchain.slice(2) : undefined
  const version = named ?? go
  if (version === undefined || !isGoVersion(version)) return undefined
  const [major = '', minor = '', patch] = version.split('.')
  if (major === '1' && Number.parseInt(minor, 10) < 21) return undefined
  const isRelease = patch !== undefined || minor.includes('rc')
  const release = isRelease ? version : `${version}.0`
  return parseModuleVersion('golang.org/toolchain', `v0.0.1-go${release}.${platform}`)
}

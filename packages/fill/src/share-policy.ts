import type { ModulePath, ModuleVersion } from '@modmesh/module'
import type { FirstHash } from './first-hashes.ts'
import type { Proof } from './proof.ts'

/**
 * Whether something held may be given to any peer, announced or spoken of: only what others can verify
 * themselves, and nothing private (design, section 1). What members with a role may have: see mayShareAsPublished.
 */
export function mayShare(
  held: { readonly module: ModuleVersion; readonly proof: Proof },
  isPrivate: (path: ModulePath) => boolean,
): boolean {
  if (isPrivate(held.module.path)) return false
  switch (held.proof.kind) {
    case 'checksum-db':
    case 'go-sum':
      return true
    case 'publisher':
    case 'upstream':
      return false
  }
}

/** What a publisher signed of something private, which members with the role may then have; undefined: nobody may. */
export function mayShareAsPublished(
  seen: FirstHash | undefined,
  isPrivate: (path: ModulePath) => boolean,
): (FirstHash & Required<Pick<FirstHash, 'zip' | 'mod' | 'published'>>) | undefined {
  if (seen === undefined || !isPrivate(seen.module.path) || seen.changed !== undefined)
    return undefined
  const { zip, mod, published } = seen
  if (zip === undefined || mod === undefined || published === undefined) return undefined
  return { ...seen, zip, mod, published }
}

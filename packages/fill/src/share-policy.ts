import type { ModulePath, ModuleVersion } from '@modmesh/module'
import type { Proof } from './proof.ts'

/**
 * Whether something held may be given to peers, announced or spoken of: only what others can verify
 * themselves, and nothing private (design, section 1).
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
    case 'upstream':
      return false
  }
}

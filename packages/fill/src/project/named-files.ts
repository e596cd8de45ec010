import { isDirectoryPath, parseGoMod, parseGoWork, type Replacement } from '@modmesh/module'
import { joinPath, named, parentOf } from './paths.ts'
import type { ProjectFile } from './project-file.ts'

/** Paths of the local files that a go.mod or go.work sends `go` to; they need not exist. Throws InvalidFileError. */
export function namedFiles({ kind, path, bytes }: ProjectFile): readonly string[] {
  const folder = parentOf(path)
  if (kind === 'go.mod') {
    const { replace } = named(path, () => parseGoMod(bytes))
    const sum = path.endsWith('.mod') ? [`${path.slice(0, -4)}.sum`] : []
    return [...sum, ...replacingMods(folder, replace)]
  }
  if (kind !== 'go.work') return []
  const { use, replace } = named(path, () => parseGoWork(bytes))
  const used = use.map((each) => joinPath(folder, each, 'go.mod'))
  return [`${path}.sum`, ...used, ...replacingMods(folder, replace)]
}

function replacingMods(folder: string, replace: readonly Replacement[]): readonly string[] {
  const folders = replace.map((each) => each.new.path).filter(isDirectoryPath)
  return folders.map((each) => joinPath(folder, each, 'go.mod'))
}

import { createHash } from 'node:crypto'
import {
  buildOf,
  canonicalVersion,
  checkImportPath,
  checkZipEntries,
  compareVersions,
  escapeModulePath,
  escapeVersion,
  formatManifest,
  formatPseudoVersion,
  hashManifest,
  isPseudoVersion,
  majorMinorOf,
  majorOf,
  matchesPatterns,
  parseGoMod,
  parseModulePath,
  parseModuleVersion,
  parsePatterns,
  parseSemver,
  prereleaseOf,
  pseudoVersionBase,
  pseudoVersionRev,
  pseudoVersionTime,
  splitPathMajor,
  unescapeModulePath,
  unescapeVersion,
  type ZipEntry,
} from '../../src/index.ts'
import { findPathFault } from '../../src/path-rules.ts'

/** A question that testdata/x-mod/main.go answers with golang.org/x/mod, and we with our own code. */
export interface Question {
  readonly op: string
  readonly a: readonly string[]
  readonly entries?: readonly ZipEntry[]
}

/** Our answer, in the same JSON; null for "refused". */
export function answer({
  op,
  a: [a = '', b = '', c = '', d = ''],
  a: all,
  entries,
}: Question): unknown {
  switch (op) {
    case 'path':
      return attempt(() => parseModulePath(a) === a)
    case 'import':
      return attempt(() => checkImportPath(a) ?? true)
    case 'file':
      return findPathFault(a, 'file') === undefined ? true : null
    case 'escapePath':
      return attempt(() => escapeModulePath(parseModulePath(a)))
    case 'unescapePath':
      return attempt(() => unescapeModulePath(a))
    case 'escapeVersion':
      return attempt(() => escapeVersion(a))
    case 'unescapeVersion':
      return attempt(() => unescapeVersion(a))
    case 'split':
      return answerSplit(a)
    case 'check':
      return attempt(() => parseModuleVersion(a, b).version === b)
    case 'match':
      return matchesPatterns(parsePatterns(a), b)
    case 'semver':
      return answerSemver(a)
    case 'compare':
      return compareVersions(a, b)
    case 'pseudo':
      return answerPseudo(a)
    case 'formatPseudo':
      return formatPseudoVersion(a, b, c, d)
    case 'zip':
      return attempt(() => checkZipEntries(parseModuleVersion(a, b), entries ?? [], 0) ?? true)
    case 'h1':
      return attempt(() => answerH1(all))
    case 'gomod':
      return attempt(() => answerGoMod(Buffer.from(a)))
    default:
      throw new Error(`no such question: ${op}`)
  }
}

/** Only an error with a code is an answer; any other is a mistake of ours. */
function attempt(act: () => unknown): unknown {
  try {
    return act()
  } catch (error) {
    if (error instanceof Error && 'code' in error) return null
    throw error
  }
}

function answerSplit(path: string): unknown {
  const split = splitPathMajor(path)
  return split === undefined ? null : [split.prefix, split.pathMajor]
}

function answerSemver(version: string): unknown {
  if (parseSemver(version) === undefined) return null
  return {
    build: buildOf(version),
    canonical: canonicalVersion(version),
    major: majorOf(version),
    majorMinor: majorMinorOf(version),
    prerelease: prereleaseOf(version),
  }
}

function answerPseudo(version: string): unknown {
  if (!isPseudoVersion(version)) return null
  return {
    base: attempt(() => pseudoVersionBase(version) ?? ''),
    rev: pseudoVersionRev(version),
    time: attempt(() => pseudoVersionTime(version)),
  }
}

function answerH1(files: readonly string[]): string {
  const lines = new Map<string, Uint8Array>()
  for (let i = 0; i < files.length; i += 2) {
    lines.set(
      files[i] ?? '',
      createHash('sha256')
        .update(files[i + 1] ?? '')
        .digest(),
    )
  }
  return hashManifest(formatManifest(Array.from(lines, ([name, sha256]) => ({ name, sha256 }))))
}

function answerGoMod(bytes: Uint8Array): unknown {
  const mod = { ...parseGoMod(bytes) }
  return JSON.parse(JSON.stringify(mod, (_, value: unknown) => value ?? null))
}

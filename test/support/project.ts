/** The real project that the benchmarks and the demo download: its go.mod and go.sum, and a full file tree of its modules. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A checked-out project and where its modules lie as a GOPROXY file tree. */
export interface Project {
  readonly module: string
  /** Folder with go.mod and go.sum. */
  readonly folder: string
  /** `cache/download` of a module cache that holds all of it. */
  readonly tree: string
  /** File with a line `path version zipHash modHash` for every version in the tree. */
  readonly sums: string
  /** What `go mod download` of the project fetches, each `path@version`. */
  readonly needed: readonly string[]
  readonly zips: number
  readonly bytes: number
}

/** The environment of a `go` command that sees nothing of this machine's settings but PATH. */
export function goEnvironment(
  gopath: string,
  more: Record<string, string> = {},
): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: gopath,
    GOENV: 'off',
    GOPATH: gopath,
    GOMODCACHE: join(gopath, 'pkg/mod'),
    GOCACHE: join(gopath, 'build'),
    GOFLAGS: '-modcacherw',
    GOTOOLCHAIN: 'local',
    ...more,
  }
}

interface Downloaded {
  readonly Path: string
  readonly Version: string
  readonly Zip?: string
  readonly Dir?: string
  readonly Sum?: string
  readonly GoModSum?: string
  readonly Error?: string
}

/**
 * Brings a module's own go.mod and go.sum, and downloads everything they name, from the `go`
 * command's default upstream; what an earlier call left in `folder` is used again.
 */
export function prepareProject(folder: string, module: string): Project {
  const gopath = join(folder, 'gopath')
  const project = join(folder, 'project')
  mkdirSync(project, { recursive: true })
  const env = goEnvironment(gopath)
  const own = downloadJson(env, project, module)[0]
  if (own?.Zip === undefined) throw new Error(`${module}: ${own?.Error ?? 'no zip'}`)
  const source = join(
    gopath,
    'pkg/mod',
    own.Path.replace(/[A-Z]/g, (c) => `!${c.toLowerCase()}`),
  )
  for (const name of ['go.mod', 'go.sum']) {
    writeFileSync(join(project, name), readFileSync(join(`${source}@${own.Version}`, name)))
  }
  const all = downloadJson(env, project)
  const tree = join(gopath, 'pkg/mod/cache/download')
  const sums = join(folder, 'sums.txt')
  writeFileSync(sums, sumLines(readFileSync(join(project, 'go.sum'), 'utf8')))
  let bytes = 0
  for (const one of all) if (one.Zip !== undefined) bytes += readFileSync(one.Zip).length
  const needed = all.map(({ Path, Version }) => `${Path}@${Version}`)
  return { module, folder: project, tree, sums, needed, zips: all.length, bytes }
}

/** Brings the go.mod and go.sum out of a module's own zip, from the `go` command's default upstream. */
export function fetchProjectFiles(folder: string, module: string): Map<string, string> {
  const gopath = join(folder, 'gopath')
  mkdirSync(gopath, { recursive: true })
  const own = downloadJson(goEnvironment(gopath), gopath, module)[0]
  if (own?.Dir === undefined) throw new Error(`${module}: ${own?.Error ?? 'nothing downloaded'}`)
  const { Dir: source } = own
  return new Map(
    ['go.mod', 'go.sum'].map((name) => [name, readFileSync(join(source, name), 'utf8')]),
  )
}

/**
 * Adds what servers ask for that pull everything for a go.mod: the zips of module versions whose go.mod
 * alone is needed. Versions that upstream will not give are left out.
 */
export function completeProject(folder: string, project: Project): Project {
  const gopath = join(folder, 'gopath')
  const env = goEnvironment(gopath)
  const lines = readFileSync(project.sums, 'utf8').split('\n')
  const sums = join(folder, 'sums-complete.txt')
  const complete = lines.map((line) => {
    const [path, version, zip, mod] = line.split(' ')
    if (zip !== '-') return line
    try {
      if (!existsSync(`${fileOf(project.tree, line)}.zip`))
        downloadJson(env, gopath, `${path}@${version}`)
      const sum = readFileSync(`${fileOf(project.tree, line)}.ziphash`, 'utf8')
      return `${path} ${version} ${sum} ${mod}`
    } catch {
      // Not to be had: whoever asks for it gets a 404, as from upstream.
      return line
    }
  })
  writeFileSync(sums, complete.join('\n'))
  return { ...project, sums }
}

/** Where the files of the module version of a line are, without what they end with. */
function fileOf(tree: string, line: string): string {
  const escape = (text = '') => text.replace(/[A-Z]/g, (c) => `!${c.toLowerCase()}`)
  const [path, version] = line.split(' ')
  return join(tree, escape(path), '@v', escape(version))
}

function downloadJson(env: NodeJS.ProcessEnv, cwd: string, ...args: string[]): Downloaded[] {
  const out = execFileSync('go', ['mod', 'download', '-json', ...args], {
    cwd,
    env,
    encoding: 'utf8',
    maxBuffer: 64 << 20,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return JSON.parse(`[${out.trim().replaceAll('\n}\n{', '\n},\n{')}]`) as Downloaded[]
}

/** Turns go.sum lines into one line per module version. */
function sumLines(goSum: string): string {
  const zips = new Map<string, string>()
  const mods = new Map<string, string>()
  for (const line of goSum.split('\n')) {
    const [path, version, hash] = line.split(' ')
    if (path === undefined || version === undefined || hash === undefined) continue
    if (version.endsWith('/go.mod'))
      mods.set(`${path} ${version.slice(0, -'/go.mod'.length)}`, hash)
    else zips.set(`${path} ${version}`, hash)
  }
  return [...mods].map(([key, mod]) => `${key} ${zips.get(key) ?? '-'} ${mod}\n`).join('')
}

import { hashLeaf } from '@modmesh/sumdb'
import { FakeSumdb } from '@modmesh/sumdb/testing'
import { type FakeModule, FakeUpstream } from '../support/fake-upstream.ts'
import { freePort } from '../support/free-port.ts'
import { buildModuleZip, type ModuleFiles, moduleHashes } from '../support/module-zip.ts'
import type { ConformanceCase, DatabaseFault } from './case.ts'

/** What the server under test talks to: two upstreams and a checksum database. */
export class World implements AsyncDisposable {
  readonly database: FakeSumdb
  readonly upstream: FakeUpstream
  readonly second: FakeUpstream
  /** A URL where nobody listens. */
  readonly dead: string
  readonly #stops: (() => void)[] = []

  /** Opens a world with an empty log, or a copy of a longer one. `port`: of the first upstream. */
  static async open(
    init: { readonly before?: number; readonly port?: number } = {},
  ): Promise<World> {
    const database = filledLog(init.before ?? 0)
    const host = init.port === undefined ? nextHost() : '127.0.0.1'
    const port = init.port === undefined ? {} : { port: init.port }
    return new World(
      database,
      await FakeUpstream.start({ sumdb: database, host, ...port }),
      await FakeUpstream.start({ sumdb: database, host }),
      `http://${host}:${await freePort(host)}`,
    )
  }

  private constructor(
    database: FakeSumdb,
    upstream: FakeUpstream,
    second: FakeUpstream,
    dead: string,
  ) {
    this.database = database
    this.upstream = upstream
    this.second = second
    this.dead = dead
  }

  add(module: FakeModule): void {
    this.upstream.add(module)
    this.second.add(module)
  }

  /** Adds what every case has; returns the names of it. */
  furnish(tag: string): Names {
    const names = namesOf(tag)
    for (const module of modulesOf(names)) this.add(module)
    for (const upstream of [this.upstream, this.second]) {
      upstream.addQuery(names.m, 'main', 'v1.1.0')
      upstream.addQuery(names.m, 'abcdef', pseudo)
    }
    return names
  }

  breakUpstream(...fault: Parameters<FakeUpstream['break']>): void {
    this.#stops.push(this.upstream.break(...fault))
  }

  breakSecond(...fault: Parameters<FakeUpstream['break']>): void {
    this.#stops.push(this.second.break(...fault))
  }

  breakDatabase(fault: DatabaseFault): void {
    breakDatabase(this, fault)
  }

  heal(): void {
    for (const stop of this.#stops.splice(0)) stop()
    const { faults } = this.database
    faults.down = false
    faults.shownSize = undefined
    faults.extraNoteText = ''
    faults.editNote = (note) => note
    faults.editBody = (_, body) => body
    for (const planted of [faults.flippedTiles, faults.missingTiles, faults.swappedRecords]) {
      planted.clear()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.upstream.down(), this.second.down()])
  }
}

/** The names that one case's texts may hold, without their `$`. */
export interface Names {
  readonly m: string
  readonly U: string
  /** The same as go sends it. */
  readonly E: string
  readonly p: string
  readonly x: string
}

/** A pseudo-version that every case's `$m` has. */
export const pseudo = 'v1.1.1-0.20240102030405-0123456789ab'

function namesOf(tag: string): Names {
  return {
    m: `example.com/${tag}`,
    U: `example.com/!upper/${tag}`,
    E: `example.com/%21upper/${tag}`,
    p: `private.test/${tag}`,
    x: `example.com/none/${tag}`,
  }
}

function modulesOf({ m, U, p }: Names): readonly FakeModule[] {
  const upper = U.replace('!u', 'U')
  return [
    { path: m, version: 'v1.0.0' },
    { path: m, version: 'v1.1.0' },
    { path: m, version: pseudo, listed: false },
    {
      path: m,
      version: 'v2.0.0+incompatible',
      files: { 'old.go': 'package old\n' },
      listed: false,
    },
    { path: `${m}/v2`, version: 'v2.0.0' },
    { path: `gopkg.in/${m.slice('example.com/'.length)}.v3`, version: 'v3.0.0' },
    { path: upper, version: 'v1.0.0' },
    { path: upper, version: 'v1.1.0-RC1' },
    { path: p, version: 'v1.0.0', logged: false },
  ]
}

const seed = 'conformance'
const logs = new Map<number, FakeSumdb>()

/** A log of so many records; a long one is grown once and copied. */
function filledLog(size: number): FakeSumdb {
  const grown = logs.get(size) ?? new FakeSumdb({ seed })
  grown.addFiller(size - grown.size())
  logs.set(size, grown)
  return grown.fork(size)
}

let worlds = 0

/**
 * An address of its own for each world: where cases run side by side, a port that one closed must not be opened by
 * another, whose upstream would hear the first one's server.
 */
function nextHost(): string {
  if (process.platform !== 'linux') return '127.0.0.1'
  worlds += 1
  return `127.77.${(worlds >> 8) % 256}.${worlds % 256}`
}

/** Whether a case changes the database for good, or needs one of its own size. */
export function needsOwnDatabase({ log, steps }: ConformanceCase): boolean {
  const lasting = ['flip', 'missing', 'forge', 'rollback', 'fork']
  return (
    log !== undefined ||
    steps.some((step) => step.kind === 'database' && lasting.includes(step.fault.kind))
  )
}

function breakDatabase(world: World, fault: DatabaseFault): void {
  const { faults } = world.database
  switch (fault.kind) {
    case 'down':
      faults.down = true
      return
    case 'flip':
      faults.flippedTiles.set(fault.tile, fault.at ?? 0)
      return
    case 'missing':
      faults.missingTiles.add(fault.tile)
      return
    case 'swap':
      faults.swappedRecords.set(fault.asked, fault.given)
      return
    case 'hidden-lines':
      faults.swappedRecords.set(fault.asked, fault.given)
      faults.extraNoteText = serveAltered(world, fault.asked)
      return
    case 'forge':
      forge(world, fault.module)
      return
    case 'extra-line':
      edit(world, '/lookup/', (text) => text.replace('\n\n', `\n${fault.line}\n\n`))
      return
    case 'bad-signature':
      faults.editNote = (note) => swapLetter(note, note.length - 20)
      return
    case 'other-name':
      faults.editNote = (note) => note.replace(`— ${world.database.name} `, '— sum.evil ')
      return
    case 'other-key': {
      const other = new FakeSumdb({ name: world.database.name, seed: 'another key' })
      faults.editNote = (note) => other.signNote(note.slice(0, note.lastIndexOf('\n\n') + 1))
      return
    }
    case 'record-number':
      edit(world, '/lookup/', (text) => {
        const end = text.indexOf('\n')
        return `${Number(text.slice(0, end)) + fault.add}${text.slice(end)}`
      })
      return
    case 'rollback':
      faults.shownSize = fault.size
      return
    case 'fork':
      turnIntoFork(world, fault)
      return
    case 'mend':
      world.database.serve = FakeSumdb.prototype.serve.bind(world.database)
  }
}

function edit(world: World, prefix: string, change: (text: string) => string): void {
  const before = world.database.faults.editBody
  world.database.faults.editBody = (path, bytes) => {
    const body = before(path, bytes)
    return path.startsWith(prefix) ? Buffer.from(change(Buffer.from(body).toString())) : body
  }
}

/** Lets upstream serve an altered zip of a module version; returns the go.sum lines that it has. */
function serveAltered(world: World, name: string): string {
  const [path = '', version = ''] = name.split('@')
  const module = { path, version }
  const files: ModuleFiles = {
    'go.mod': `module ${path}\n\ngo 1.20\n`,
    'evil.go': 'package evil\n',
  }
  const { zip, mod } = moduleHashes(module, files)
  const bytes = buildModuleZip(module, files)
  const isZip = (asked: string): boolean => asked === `/${path}/@v/${version}.zip`
  world.breakUpstream(isZip, { kind: 'bytes', bytes })
  world.breakSecond(isZip, { kind: 'bytes', bytes })
  return `${path} ${version} ${zip}\n${path} ${version}/go.mod ${mod}\n`
}

function forge(world: World, name: string): void {
  const [path = '', version = ''] = name.split('@')
  const id = world.database.idOf(path, version) ?? -1
  const lines = serveAltered(world, name)
  const leaf = hashLeaf(lines)
  world.database.faults.editBody = (asked, bytes) => {
    if (asked === `/lookup/${name}`) {
      return Buffer.from(Buffer.from(bytes).toString().replace(world.database.text(id), lines))
    }
    if (!asked.startsWith(`/tile/8/0/${String(id >> 8).padStart(3, '0')}`)) return bytes
    const tile = Uint8Array.from(bytes)
    if (tile.length >= (id % 256) * 32 + 32) tile.set(leaf, (id % 256) * 32)
    return tile
  }
}

function turnIntoFork({ database }: World, { keep, size }: { keep: number; size: number }): void {
  const forked = database.fork(keep)
  forked.add('example.com/evil', 'v1.0.0')
  for (let id = keep; id < database.size(); id++) {
    const text = database.text(id)
    const [path = '', version = ''] = text.split(' ')
    if (!path.startsWith('filler.test/')) forked.add(path, version, text)
  }
  forked.addFiller(size - forked.size())
  database.serve = (path) => forked.serve(path)
}

function swapLetter(text: string, at: number): string {
  return `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`
}

import { openTreeHead, parseLookup, parseTilePath } from '@modmesh/sumdb'
import type { BodyRule, Expectation, HeaderRule, StatusClass } from './case.ts'
import type { Reply } from './send.ts'
import type { World } from './world.ts'

/** A reply and what it answers. */
export interface Asked {
  /** As sent. */
  readonly path: string
  readonly reply: Reply
}

/** Says what of an expectation does not hold; an empty list when all does. */
export function checkReply(world: World, asked: Asked, expect: Expectation): readonly string[] {
  const { reply, path } = asked
  const faults = [
    ...checkStatus(reply, expect.status),
    ...checkTruth(world, asked),
    ...Object.entries(expect.headers ?? {}).flatMap(([name, rule]) =>
      checkHeader(name, reply.headers[name]?.toString(), rule),
    ),
    ...(expect.body === undefined ? [] : checkBody(world, asked, expect.body)),
  ]
  if (expect.withinMs !== undefined && reply.tookMs > expect.withinMs) {
    faults.push(`took ${Math.round(reply.tookMs)} ms, more than ${expect.withinMs}`)
  }
  return faults.map((fault) => `${path}: ${fault}`)
}

function checkStatus(reply: Reply, wanted: StatusClass | number): readonly string[] {
  if (hasStatus(reply, wanted)) return []
  const seen = reply.status === 0 ? `no reply (${reply.failure})` : String(reply.status)
  const cut = reply.isCut && reply.status !== 0 ? ', cut off' : ''
  return [`wanted ${wanted}, got ${seen}${cut}: ${reply.body.toString('latin1').slice(0, 200)}`]
}

function hasStatus({ status, isCut }: Reply, wanted: StatusClass | number): boolean {
  switch (wanted) {
    case 'ok':
      return status === 200 && !isCut
    case 'absent':
      return status === 404 || status === 410
    case 'trouble':
      return status >= 500
    case 'refused':
      return (status >= 400 && status !== 404 && status !== 410) || (status === 200 && isCut)
    case 'error':
      return status >= 400
    case 'bad':
      return status >= 300 && status < 500
    default:
      return status === wanted
  }
}

/** Whatever else is expected: bytes behind a 200 that `go` would check must be the true ones. */
function checkTruth({ upstream }: World, { path, reply }: Asked): readonly string[] {
  if (reply.status !== 200 || reply.isCut || reply.body.length === 0) return []
  const name = decode(path)
  if (!name.endsWith('.zip') && !name.endsWith('.mod')) return []
  const true_ = upstream.bytesOf(name.replace('/cached-only/', '/'))
  if (true_ === undefined || reply.body.equals(true_)) return []
  return ['other bytes than the true ones behind a 200']
}

function checkHeader(name: string, value: string | undefined, rule: HeaderRule): readonly string[] {
  const holds =
    'present' in rule
      ? (value !== undefined) === rule.present
      : 'is' in rule
        ? value === rule.is
        : 'starts' in rule
          ? value?.startsWith(rule.starts) === true
          : 'has' in rule
            ? value?.includes(rule.has) === true
            : value?.includes(rule.lacks) !== true
  return holds ? [] : [`header ${name}: wanted ${JSON.stringify(rule)}, got ${value}`]
}

function checkBody(world: World, { path, reply }: Asked, rule: BodyRule): readonly string[] {
  const { body } = reply
  const text = body.toString('utf8')
  switch (rule.kind) {
    case 'upstream': {
      const all = Buffer.from(world.upstream.bytesOf(decode(rule.path ?? path)) ?? 'nothing')
      const due = all.subarray(rule.from ?? 0, rule.to ?? all.length)
      return body.equals(due) ? [] : [`body of ${body.length} bytes, wanted ${due.length} others`]
    }
    case 'empty':
      return body.length === 0 ? [] : [`body of ${body.length} bytes, wanted none`]
    case 'has':
      return rule.texts.filter((part) => !text.includes(part)).map((part) => `lacks "${part}"`)
    case 'lacks':
      return rule.texts.filter((part) => text.includes(part)).map((part) => `holds "${part}"`)
    case 'lines': {
      const lines = text.split('\n').filter((line) => line !== '')
      const same = lines.toSorted().join() === rule.lines.toSorted().join()
      return same ? [] : [`lines ${lines.join(' ')}, wanted ${rule.lines.join(' ')}`]
    }
    case 'json':
      return checkJson(text, rule.has)
    case 'shown':
      return checkShown(reply, rule.texts ?? [])
    case 'lookup':
      return checkLookup(world, body, rule.module)
    case 'head':
      return checkHead(world, text, rule.atLeast ?? 1)
    case 'tile': {
      const due = world.database.tile(parseTilePath(rule.path))
      return body.equals(due) ? [] : [`not the bytes of ${rule.path}`]
    }
  }
}

function checkJson(text: string, has: Readonly<Record<string, string>>): readonly string[] {
  try {
    const value = JSON.parse(text) as Record<string, unknown>
    return Object.entries(has)
      .filter(([key, due]) => value[key] !== due)
      .map(([key, due]) => `${key} is ${String(value[key])}, wanted ${due}`)
  } catch {
    return ['no JSON']
  }
}

/** What cmd/go demands of a text before it shows it (web/api.go). */
function checkShown({ headers, body }: Reply, texts: readonly string[]): readonly string[] {
  const type = headers['content-type']?.toLowerCase() ?? ''
  const plain = ['text/plain', 'text/plain; charset=utf-8', 'text/plain; charset=us-ascii']
  if (!plain.includes(type)) return [`of type ${type}, which go does not show`]
  const text = body.toString('utf8')
  const lines = text.trimEnd().split('\n')
  const faults = texts.filter((part) => !text.includes(part)).map((part) => `lacks "${part}"`)
  if (text.trim() === '') faults.push('empty')
  if (lines.length > 8) faults.push(`${lines.length} lines`)
  const isPrintable = (char: string): boolean => char === '\n' || char === '\t' || char >= ' '
  if (!Array.from(text).every(isPrintable)) faults.push('holds control characters')
  return faults
}

function checkLookup({ database }: World, body: Buffer, name: string): readonly string[] {
  try {
    const [path = '', version = ''] = name.split('@')
    const id = database.idOf(path, version)
    const answer = parseLookup(body)
    const { size } = openTreeHead(answer.note, database.key)
    if (id === undefined || answer.id !== id) return [`record ${answer.id}, wanted ${id}`]
    if (answer.text !== database.text(id)) return ['not the true record']
    return size > id ? [] : [`a head of ${size} for record ${id}`]
  } catch (error) {
    return [`no lookup answer: ${String(error)}`]
  }
}

function checkHead({ database }: World, text: string, atLeast: number): readonly string[] {
  try {
    const { size } = openTreeHead(text, database.key)
    return size >= atLeast ? [] : [`a head of ${size}, wanted ${atLeast} at least`]
  } catch (error) {
    return [`no signed head: ${String(error)}`]
  }
}

function decode(path: string): string {
  try {
    return decodeURIComponent(path.split('?', 1)[0] ?? '')
  } catch {
    return path
  }
}

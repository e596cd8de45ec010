import type { Answer, AskOptions, HeldZip } from '@modmesh/fill'
import type { ModulePath, ModuleVersion } from '@modmesh/module'
import type { Rng } from './rng.ts'
import type { Life } from './sim-node.ts'
import type { Truth } from './truth.ts'

/** One thing a client asks. */
export type Question =
  | { readonly kind: 'zip' | 'mod' | 'info' | 'sums'; readonly module: ModuleVersion }
  | { readonly kind: 'list' | 'latest' | 'query'; readonly path: ModulePath }

export function drawQuestion(rng: Rng, truth: Truth): Question {
  const kind = rng.pick([
    'zip',
    'zip',
    'zip',
    'mod',
    'mod',
    'info',
    'list',
    'latest',
    'query',
    'sums',
  ])
  if (kind === 'list' || kind === 'latest' || kind === 'query') {
    return { kind, path: rng.pick(truth.paths) }
  }
  const exists = rng.chance(0.92)
  const module = exists ? rng.pick(truth.releases).module : rng.pick(truth.missing)
  return { kind: kind as 'zip', module }
}

/** Asks, and returns why the answer is wrong, or undefined (invariant I1). */
export async function ask(
  life: Life,
  question: Question,
  options: AskOptions,
  truth: Truth,
): Promise<string | undefined> {
  switch (question.kind) {
    case 'zip':
      return await checkZip(await life.fill.zip(question.module, options), question.module, truth)
    case 'mod':
    case 'info': {
      const { value } = await life.fill[question.kind](question.module, options)
      return differs(value, truth.find(question.module)?.[question.kind])
    }
    case 'sums': {
      const sums = await life.fill.sums(question.module, options)
      const due = truth.find(question.module)?.sums
      return sums.zip === due?.zip && sums.mod === due?.mod ? undefined : 'other hashes'
    }
    case 'list': {
      const { value } = await life.fill.list(question.path, options)
      const lines = new TextDecoder().decode(value).split('\n').filter(Boolean)
      const invented = lines.find((line) => !versionsOf(truth, question.path).includes(line))
      return invented === undefined ? undefined : `lists ${invented}`
    }
    case 'latest':
      return checkInfo((await life.fill.latest(question.path, options)).value, question.path, truth)
    case 'query': {
      const { value } = await life.fill.query(question.path, 'main', options)
      return checkInfo(value, question.path, truth)
    }
  }
}

async function checkZip(
  answer: Answer<HeldZip>,
  module: ModuleVersion,
  truth: Truth,
): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  for await (const chunk of answer.value.read()) chunks.push(chunk)
  return differs(Buffer.concat(chunks), truth.find(module)?.zip)
}

function checkInfo(bytes: Uint8Array, path: ModulePath, truth: Truth): string | undefined {
  const { Version: version } = JSON.parse(new TextDecoder().decode(bytes)) as { Version: string }
  return versionsOf(truth, path).includes(version) ? undefined : `latest is ${version}`
}

function versionsOf(truth: Truth, path: ModulePath): readonly string[] {
  return truth.releases
    .filter(({ module }) => module.path === path)
    .map(({ module }) => module.version)
}

function differs(seen: Uint8Array, due: Uint8Array | undefined): string | undefined {
  if (due === undefined) return 'an answer for what does not exist'
  return Buffer.compare(seen, due) === 0 ? undefined : 'other bytes'
}

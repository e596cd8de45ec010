import { askNode } from '../control-socket/client.ts'
import { checkClientHeads } from '../doctor/client-heads-check.ts'
import type { Finding, FindingState } from '../doctor/finding.ts'
import { checkGo, goVariables } from '../doctor/go-checks.ts'
import { checkLocalPort } from '../doctor/local-port-check.ts'
import { checkNode } from '../doctor/node-checks.ts'
import type { NodeFacts } from '../doctor/node-facts.ts'
import { checkStopped } from '../doctor/stopped-checks.ts'
import { NodeNotRunningError } from '../errors.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { readGoEnv } from '../go-env.ts'
import { printJson } from '../mesh-command.ts'
import { escapeInvisible } from '../printable.ts'
import { type FlagTexts, readDirOption, readOptions } from '../read-options.ts'
import type { Surroundings } from '../settings.ts'

/** The node looks outside, for some seconds each way. Milliseconds. */
const answerTimeoutMs = 30_000

/** `modmesh doctor`: looks for what is usually wrong; 0 all well, 20 with warnings, 1 with faults. */
export async function doctor(
  flags: FlagTexts & { readonly json?: true },
  around: Surroundings,
): Promise<ExitCode> {
  const findings = await examine(flags, around)
  const verdict = verdictOf(findings)
  if (flags.json) printJson('modmesh.doctor/1', { verdict, findings })
  else process.stdout.write(asText(findings))
  if (verdict === 'well') return exitCodes.done
  return verdict === 'warnings' ? exitCodes.degraded : exitCodes.failed
}

async function examine(flags: FlagTexts, around: Surroundings): Promise<readonly Finding[]> {
  const dir = await readDirOption(flags, around)
  const go = await readGoEnv(goVariables, around)
  const signal = AbortSignal.timeout(answerTimeoutMs)
  try {
    const facts = (await askNode(dir, { command: 'doctor' }, { signal })) as NodeFacts
    const goPath = go?.get('GOPATH')
    return [
      ...checkNode(facts),
      await checkLocalPort(facts),
      ...checkGo(go, facts, around.env),
      await checkClientHeads(facts, { goPath, around }),
    ]
  } catch (error) {
    if (!(error instanceof NodeNotRunningError)) throw error
    const { settings } = await readOptions({ ...flags, dir }, around)
    return await checkStopped(settings, error.message.split(';', 1)[0] ?? '')
  }
}

function verdictOf(findings: readonly Finding[]): 'well' | 'warnings' | 'faults' {
  const states = new Set(findings.map(({ state }) => state))
  if (states.has('fail')) return 'faults'
  return states.has('warn') ? 'warnings' : 'well'
}

const order: readonly FindingState[] = ['ok', 'skip', 'note', 'warn', 'fail']

/** The worst at the end, where the eye is. */
function asText(findings: readonly Finding[]): string {
  const sorted = findings.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state))
  return sorted
    .map(({ id, state, text, fix }) => {
      const line = `[${state}] ${id}: ${escapeInvisible(text)}\n`
      return fix === undefined ? line : `${line}       ${escapeInvisible(fix)}\n`
    })
    .join('')
}

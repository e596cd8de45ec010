import type { ModuleVersion } from '@modmesh/module'
import type { DiskStore } from '@modmesh/store'
import type { ControlRequest, Hello } from './control-socket/protocol.ts'
import type { AnswerControl } from './control-socket/server.ts'
import { CommandError } from './errors.ts'
import { exitCodes } from './exit-codes.ts'
import type { NodeState } from './node-state.ts'
import type { StatusReporter } from './status-reporter.ts'
import { answerStoreRequest } from './store-answers.ts'
import { programVersion } from './version.ts'

/** The life of a ticket when nobody says otherwise. Milliseconds. */
const defaultInviteMs = 24 * 3_600_000

/** What `invite` is answered with. */
interface Invitation {
  readonly ticket: string
  readonly mesh: string
  readonly site: string | null
  /** ISO 8601. */
  readonly expiresAt: string
}

/** Builds the answers of the control socket. */
export function answerControl({
  state,
  reporter,
  store,
}: {
  readonly state: NodeState
  readonly reporter: StatusReporter
  readonly store: DiskStore
}): AnswerControl {
  const onAccepted = (module: ModuleVersion): Promise<void> => forgetAccepted(state, module)
  return async (request, options) => {
    switch (request.command) {
      case 'hello':
        return hello(state)
      case 'status':
        return await reporter.status()
      case 'invite':
        return await invite(state, request)
      default:
        return await answerStoreRequest(store, request, { ...options, onAccepted })
    }
  }
}

function hello(state: NodeState): Hello {
  return {
    pid: process.pid,
    version: programVersion(),
    startedAt: new Date(state.startedAtMs).toISOString(),
    env: state.goEnv,
    otherWays: state.otherWays,
  }
}

/** Memory, and the clones of version control, may still hold what was there first. */
async function forgetAccepted(state: NodeState, module: ModuleVersion): Promise<void> {
  state.fill?.forget(module)
  await state.direct?.forget(module)
}

async function invite(
  state: NodeState,
  request: Extract<ControlRequest, { readonly command: 'invite' }>,
): Promise<Invitation> {
  const { mesh } = state
  if (mesh === undefined || state.phase === 'stopping') {
    throw new CommandError(`the node is ${state.phase}; try again in a moment`, {
      exitCode: exitCodes.failed,
    })
  }
  const expiresMs = request.expiresMs ?? defaultInviteMs
  const expiresAt = new Date(Date.now() + expiresMs).toISOString()
  const ticket = await mesh.invite({ site: request.site, expiresMs })
  return { ticket, mesh: mesh.meshId() ?? '', site: request.site ?? null, expiresAt }
}

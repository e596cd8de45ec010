import { buildNode } from '../../packages/node/src/build-node.ts'
import { prepareDataDir } from '../../packages/node/src/data-dir.ts'
import { Lifecycle } from '../../packages/node/src/lifecycle.ts'
import { openLog } from '../../packages/node/src/log.ts'
import { readOptions } from '../../packages/node/src/read-options.ts'
import { planStart } from '../../packages/node/src/start-plan.ts'
import { type LaunchedServer, type Launcher, type LaunchInit, privatePattern } from './run-case.ts'

/** Longest wait of one request for upstream: a stall is to be seen in a test's time. Seconds. */
const fetchSeconds = 5

/** Our node with everything that `modmesh start` wires, but in this process, where it starts in 50 ms. */
export const nodeInProcess: Launcher = {
  name: 'modmesh',
  understands: new Set(['list', 'offline', 'ttl', 'secret']),
  launch,
}

async function launch(init: LaunchInit): Promise<LaunchedServer> {
  const around = { env: environment(init), home: init.dir, cwd: init.dir }
  const read = await readOptions({}, around)
  const plan = await planStart(read)
  const log = openLog('error', () => undefined)
  const lifecycle = new Lifecycle(log)
  try {
    await prepareDataDir(read.settings.dir)
    const { state } = await buildNode(plan, { log, lifecycle, around })
    state.phase = 'ready'
    return { origin: state.url ?? '', stop: () => lifecycle.stop() }
  } catch (error) {
    await lifecycle.stop()
    throw error
  }
}

function environment(init: LaunchInit): Record<string, string> {
  const { sumdb, offline, ttl, secret } = init
  return {
    MODMESH_DIR: init.dir,
    MODMESH_LISTEN: '127.0.0.1:0',
    MODMESH_MESH_LISTEN: '127.0.0.1:0',
    MODMESH_MDNS: '0',
    MODMESH_UPSTREAM: init.list,
    MODMESH_SUMDB: `${sumdb.key} ${sumdb.url}`,
    MODMESH_PRIVATE: privatePattern,
    MODMESH_NOPROXY: '',
    MODMESH_FETCH_TIMEOUT: String(fetchSeconds),
    ...(offline === true ? { MODMESH_OFFLINE: '1' } : {}),
    ...(ttl === undefined ? {} : { MODMESH_TTL: String(ttl) }),
    ...(secret === undefined ? {} : { MODMESH_PATH_SECRET: secret }),
  }
}

import { formatBytes } from '../byte-size.ts'
import { formatDuration } from '../duration.ts'
import { type Finding, fail, note, ok, skip, warn } from './finding.ts'
import type { NodeFacts } from './node-facts.ts'

/** Free space below which a large module does not fit any more, and below which nothing does. Bytes. */
const littleSpace = 2e9
const noSpace = 2e8
/** A clock that is wrong by this makes memberships begin or end at other times than people think. Milliseconds. */
const oddClockMs = 60_000
/** By this much certificates and tickets of a day fail. Milliseconds. */
const wrongClockMs = 3_600_000

/** Looks at what a running node tells of itself. */
export function checkNode(facts: NodeFacts): readonly Finding[] {
  const { status } = facts
  return [
    ok('node', `running, process ${status.pid}, ${status.state}, version ${status.version}`),
    checkDisk(facts),
    checkStore(facts),
    checkUpstream(facts),
    checkDatabase(facts),
    checkClock(facts),
    ...checkMesh(facts),
    ...otherWarnings(facts),
  ]
}

function checkDisk({ disk, status }: NodeFacts): Finding {
  const id = 'disk'
  const { freeBytes } = disk
  const text = `${formatBytes(freeBytes)} free on the disk of ${status.dir}`
  const fix = 'free space, or: modmesh gc --to SIZE, and start the node with --max-size SIZE'
  if (freeBytes < noSpace) return fail(id, text, fix)
  return freeBytes < littleSpace ? warn(id, text, fix) : ok(id, text)
}

function checkStore({ storeTrouble, status }: NodeFacts): Finding {
  const id = 'store'
  if (storeTrouble === null) return ok(id, `holds ${status.store.zips} zips, and takes more`)
  return fail(
    id,
    `answers cannot be kept: ${storeTrouble}`,
    `look at the disk of ${status.dir}: space, permissions, read-only mount`,
  )
}

function checkUpstream({ upstreams, offline, status }: NodeFacts): Finding {
  const id = 'upstream'
  if (offline) return ok(id, 'not asked: --offline')
  if (upstreams.length === 0) return skip(id, `not looked at: ${status.upstream.list}`)
  const dead = upstreams.filter(({ answers }) => !answers)
  if (dead.length === 0)
    return ok(id, `${upstreams.map(({ origin }) => origin).join(', ')} answers`)
  const names = dead.map(({ origin }) => origin).join(', ')
  const { lastError } = status.upstream
  const reason = lastError === null ? '' : ` (${lastError})`
  const fix = `curl -sI ${dead[0]?.origin} as the user of the node; a proxy belongs into HTTPS_PROXY, certificates into --ca-file; without internet: --offline`
  return warn(id, `${names} does not answer${reason}: only what is held or at peers is given`, fix)
}

function checkDatabase({ databaseTrouble, status }: NodeFacts): Finding {
  const id = 'database'
  const { name, forked, treeSize } = status.checksumDatabase
  if (name === null)
    return note(id, 'off: nothing can be proven, so nothing goes to or comes from peers')
  if (forked) {
    return fail(
      id,
      `${name} signed two trees that cannot be one log's`,
      'see the warning of: modmesh status',
    )
  }
  if (databaseTrouble !== null) {
    const text = `${name} cannot be asked: ${databaseTrouble}`
    return warn(
      id,
      text,
      'open the way to it, or name one with --sumdb "NAME URL"; peers give records, too',
    )
  }
  const tree = treeSize === null ? 'no tree of it was seen yet' : `its tree has ${treeSize} records`
  return ok(id, `${name}: ${tree}`)
}

function checkClock({ upstreams }: NodeFacts): Finding {
  const id = 'clock'
  const seen = upstreams.filter((each) => each.clockAheadMs !== null)
  const [first] = seen
  if (first?.clockAheadMs == null) return skip(id, 'nobody said what time it is')
  const aheadMs = first.clockAheadMs
  const offMs = Math.abs(aheadMs)
  if (offMs < oddClockMs) return ok(id, `agrees with ${first.origin}`)
  const text = `this host is ${formatDuration(offMs)} ${aheadMs > 0 ? 'behind' : 'ahead of'} ${first.origin}`
  const fix = 'set the clock: timedatectl set-ntp true'
  return offMs < wrongClockMs ? warn(id, text, fix) : fail(id, text, fix)
}

function checkMesh(facts: NodeFacts): readonly Finding[] {
  const { mesh, status } = facts
  if (mesh.refusal !== null) {
    const text = `this node is out of its mesh: ${mesh.refusal}`
    return [
      fail(
        'membership',
        text,
        'get a new ticket (modmesh invite, elsewhere), then: modmesh leave; modmesh join',
      ),
    ]
  }
  if (status.mesh.id === null) {
    return [note('mesh', 'in no mesh: only this host profits', 'modmesh invite, or: modmesh join')]
  }
  return [
    checkPeers(facts),
    ...checkRefusers(facts),
    ...checkVersions(facts),
    checkPorts(facts),
    checkMulticast(facts),
  ]
}

function checkPeers({ peers, status }: NodeFacts): Finding {
  const id = 'peers'
  const connected = peers.peers.filter((peer) => peer.connected)
  if (connected.length > 0)
    return ok(id, `${connected.length} of ${peers.peers.length} members connected`)
  const reasons = [
    ...peers.peers.map((peer) => `${peer.name || peer.id}: ${peer.notConnected ?? 'gone'}`),
    ...peers.unreached.map(({ target, reason }) => `${target}: ${reason ?? 'no answer yet'}`),
  ]
  const where = status.mesh.addresses[0] ?? 'its address'
  if (reasons.length === 0) {
    return warn(
      id,
      'no other member is known, and none was found on the network',
      'modmesh invite > ticket, and on the other host: modmesh start --join ticket',
    )
  }
  const text = `no member is connected: ${reasons.slice(0, 5).join('; ')}`
  return warn(
    id,
    text,
    `modmesh peers; open the port of --mesh-listen (TCP) there, or name this node: --peer ${where}`,
  )
}

function checkRefusers({ mesh: { refusers } }: NodeFacts): readonly Finding[] {
  if (refusers === null) return []
  const text = `${refusers.count} of the members refuse this node: ${refusers.reason}`
  return [
    fail(
      'membership',
      text,
      'get a new ticket (modmesh invite, elsewhere), then: modmesh leave; modmesh join',
    ),
  ]
}

function checkVersions({ mesh: { oddVersions } }: NodeFacts): readonly Finding[] {
  if (oddVersions.length === 0) return []
  const names = oddVersions.map(({ peer, versions }) => `${peer} (speaks ${versions.join(', ')})`)
  const text = `no protocol version in common with ${names.join('; ')}`
  return [warn('versions', text, 'install the same modmesh on both')]
}

function checkPorts({ mesh, status }: NodeFacts): Finding {
  const id = 'mesh-port'
  const [closed] = mesh.closedPorts
  if (closed !== undefined) {
    const text = `nobody gets to ${closed.address}: ${closed.reason}`
    return warn(
      id,
      text,
      'open that port in the firewall of this host (TCP), or choose another --mesh-listen',
    )
  }
  if (status.mesh.addresses.every(isLoopback)) {
    const text = `listens on ${mesh.listen}, where no other host gets to`
    return warn(id, text, 'start the node with --mesh-listen 0.0.0.0:4771')
  }
  return ok(id, 'this host gets to its own mesh port; another may still be kept away by a firewall')
}

function isLoopback(address: string): boolean {
  return address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/')
}

function checkMulticast({ mesh, peers }: NodeFacts): Finding {
  const id = 'mdns'
  if (!mesh.mdns) return note(id, 'off: members are found by --peer and the ticket alone')
  if (mesh.multicastTrouble === null) return ok(id, 'multicast can be sent on this host')
  const isCut = !peers.peers.some((peer) => peer.connected)
  const text = `multicast does not work here: ${mesh.multicastTrouble}`
  const fix = 'name a member with --peer HOST:4771, or allow UDP port 5353 to 224.0.0.251'
  return isCut ? warn(id, text, fix) : note(id, text, fix)
}

/** What `status` warns of and no other check tells. */
function otherWarnings({ status, storeTrouble, mesh }: NodeFacts): readonly Finding[] {
  const told = [storeTrouble, mesh.refusal, mesh.refusers?.reason, 'signed two trees']
  const rest = status.warnings.filter((text) => {
    return !told.some((part) => part != null && text.includes(part))
  })
  return rest.map((text) => warn('warning', text, 'see: modmesh status'))
}

/** What `modmesh` alone prints: the first day. */
export const firstSteps: string = `modmesh: Go modules from the hosts around you, verified.

  modmesh start      run the node of this host
  modmesh env        print the lines that make \`go\` use it
  modmesh invite     print a ticket; elsewhere: MODMESH_JOIN=<ticket> modmesh start

More: modmesh --help, modmesh start --help
`

/** Closes `modmesh --help`. */
export const exitCodeHelp: string = `
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 20 done in part or degraded,
21 node not running, 22 store held by another process, 23 a hash or proof did not match,
24 timed out or unreachable.`

type CommandName =
  | 'start'
  | 'status'
  | 'peers'
  | 'why'
  | 'env'
  | 'invite'
  | 'join'
  | 'members'
  | 'revoke'
  | 'publish'
  | 'leave'
  | 'rekey'
  | 'seed'
  | 'site'
  | 'siteList'
  | 'siteTest'
  | 'siteLimit'
  | 'root'
  | 'rootExport'
  | 'rootImport'
  | 'rootGrant'
  | 'rootRotate'
  | 'ls'
  | 'verify'
  | 'gc'
  | 'pin'
  | 'unpin'
  | 'prefetch'
  | 'run'
  | 'accept'
  | 'adopt'
  | 'export'
  | 'import'
  | 'doctor'
  | 'wait'
  | 'stats'
  | 'config'
  | 'completion'

/** The opening texts of each command's help; lines of at most 78 characters, else they are re-wrapped. */
export const commandHelp: Readonly<Record<CommandName, string>> = {
  start: `Run the node in the foreground. It serves \`go\` on the local port, keeps every
module it has verified, and gives the public ones to the members of its mesh.

Prints one line on stdout when it is ready; all else goes to stderr, as JSON
lines. SIGTERM or Ctrl-C lets running answers end, at most 10 seconds; a
second one ends at once.

Each flag can also be set as the variable in brackets, or in the configuration
file where its key is the flag's name: flag over variable over file over
default. An empty variable counts as unset.`,
  status: `Show the running node: health, address, mesh, peers, upstream, checksum
database, and where the bytes of the last hour came from.

Without a running node it shows what the store holds, and exits 21.
A degraded node: 20.`,
  peers: `List the members of the mesh as this node sees them: connected or when last
seen and why not, round trip, how many zips they hold, what they gave and
took, and what they were blamed for. Also the addresses of --peer that lead to
nobody yet.

Exits 20 when others are known and none is connected.`,
  why: `Tell how a module version was answered, and would be now: whether it is held
and what proves it, which peers have it, and what became of the last requests
that the store alone could not answer: who was asked, what they said, how long
it took, and why it went to upstream.

  modmesh why golang.org/x/text@v0.32.0

The history is of this run of the node, and of its last 2,000 versions.
Exits 1 when the version is not held and nobody asked for it.`,
  env: `Print the \`go env -w\` lines that make \`go\` on this host use the node. Asks the
running node for its address; without one, takes it from the configuration.

  eval "$(modmesh env)"              for all shells of this user, from now on
  eval "$(modmesh env --shell sh)"   for this shell alone`,
  invite: `Print a ticket with which other hosts join this node's mesh. The first
invitation makes the mesh.

The ticket stands alone on stdout. It is a secret: whoever has it can join
until it expires. Hand it over by file or variable, never as an argument:

  modmesh invite > ticket
  modmesh start --join ticket        on the other host, or with the ticket
                                     itself in MODMESH_JOIN

Who has joined stays when the ticket expires, once it has met a member with
the role admit. A node that joined may invite when its own ticket was made
with: modmesh invite --roles admit`,
  join: `Join a mesh with the running node. The ticket comes from the file, else from
MODMESH_JOIN, else from standard input; on a terminal it is asked for.
Exits 20 when the node is in the mesh but has reached no member yet.`,
  members: `List the members of the mesh that this node knows, and how they stand:

  member        counter-signed: stays until it is revoked or leaves
  provisional   met nobody yet who may admit: ends with its ticket
  revoked       is out, or left

A node with the role admit knows all that such nodes know; others know whom
they have met.`,
  revoke: `End a member: it is cut off by everybody who hears of it, within seconds, and
stays out, also with a new key and the ticket that it came by. That ticket
takes no new hosts any more; those that came by it before stay.

With the number of an invite: that ticket admits nobody any more, and who came
by it and was not counter-signed is out.

  modmesh revoke build-7
  modmesh revoke 1f0c99ab

There is no way back: to take a host in again, give it a new key and ticket.
Only nodes that hold the root key, and administrators, can revoke.`,
  publish: `Sign private module versions that this node holds into the mesh: members with
the role private may then have them from here, and believe them. Needs the role
publisher, and --share-private on at the nodes that give and take.

  modmesh publish git.example.com/team/lib@v1.2.0

A node with the role signs by itself what it fetches from version control while
private modules are shared. Exits 20 when only some were signed, 1 when none.`,
  leave: `Leave the mesh: tell its members, and be a lone node from now on. What the
node holds stays. To come back it needs a new ticket. Whoever holds the root
key is asked to export it first.`,
  rekey: `Give this node a new key and let it stay in the mesh: the old key names the new
one, and ends. It counts from the next start on. A host can do this 3 times.`,
  seed: `Have the members of this node's site hold what one connected member has: they
divide the work, each module version crosses the link once, and copies are made
inside the site. Everything is verified as always.

  modmesh seed --from laptop
  modmesh seed --from hq-1 --for ~/src/app --replicas 3

It can be cut and given again at any time: what is held is not asked for again.
While the giver is away it waits. Ends with what is missing and why.

Exits 20 when something is missing, 24 when the giver is not connected.`,
  site: `A site is a group of members with a LAN between them. Modules that its members
want cross the link to another site once: one member fetches for all.`,
  siteList: `List the links to other sites: what may cross, connected members, round trip,
what zips measured of late, and the bytes of zips that the site gave and took,
since this node keeps count. SAVED is what did not need to come.`,
  siteTest: `Measure the round trip and the rate of the link to a site, with bytes of no
meaning that count as taken. Limits of the link hold for the test, too.

  modmesh site test hq --bytes 1MB

Exits 20 when nothing may cross the link now, 24 when nobody there is connected.`,
  siteLimit: `Set what may cross the link between this node and a site, from now on and after a
restart; it wins over --site-link. Words:

  open       everything
  metered    only what somebody asked for: no seeding
  paused     no module, record or list, either way; connections stay
  forbidden  no connection
  2MB/s      at most so fast, each way; up:2MB/s gives, down:2MB/s takes
  08:00-18:00=WORD   each of these in a part of the day, by the local clock

  modmesh site limit hq 08:00-18:00=1MB/s
  modmesh site limit hq paused
  modmesh site limit hq default      as configured

Limits are of this node alone: set them on each host of a site.`,
  root: `The root key rules a mesh. It is made by the first \`modmesh invite\` and lies on
that node alone: keep a copy, in a safe place.`,
  rootExport: `Print the root key of the mesh, alone on stdout. Whoever has it rules the mesh.

  umask 077; modmesh root export > root-key`,
  rootImport: `Take an exported root key: a member of the mesh becomes an administrator that
holds it; a lone node becomes a node of that mesh, when all others are gone.`,
  rootGrant: `Make a member an administrator: it may invite, counter-sign and revoke, but not
change the root key, nor revoke other administrators.`,
  rootRotate: `Change the root key, when it may be known to others or its holder goes.
Members that were counter-signed and are known to this node stay, also those
that are off; tickets that are out admit nobody any more. A mesh can do this
6 times.`,
  ls: `List the module zips that are held, one a line: size, last use, pins. With
names only those.

  modmesh ls 'golang.org/x/*'        all versions of all modules there`,
  wait: `Return when the running node is ready and, if asked for, has so many peers
and holds all zips that go.sum files name. A node that is not running yet is
waited for, too. Exits 24 when it took too long.

  modmesh wait --timeout 30s
  modmesh wait --peers 3 --for go.sum --timeout 10m`,
  stats: `Print what the running node has answered since its start, from where, and how
much of it without asking upstream.`,
  config: `Print every option that \`modmesh start\` would run with, and where it comes
from: flag, variable, file and line, or default. Secrets are not shown.
Takes the flags of start.

  modmesh config --check /etc/modmesh/config.toml

Exits 2 with file and line when something is wrong.`,
  completion: `Print a script with which a shell completes commands and flags.

  eval "$(modmesh completion bash)"      in ~/.bashrc
  eval "$(modmesh completion zsh)"       in ~/.zshrc
  modmesh completion fish > ~/.config/fish/completions/modmesh.fish`,
  doctor: `Look for what is usually wrong, on this host and in the mesh, and say for each
what to type: whether go asks the node, and for what it does not; upstream, the
checksum database, the clock, the disk, ports, multicast, and why no member is
connected. Run it as the user who runs go, in the folder of the project.

Exits 0 when all is well, 20 with warnings, 1 with faults.
What each finding means: docs/howto/troubleshooting.md`,
  adopt: `Take over a module cache of \`go\`: every zip is hashed again and compared with
its .ziphash and with what vouches for it: a record of the checksum database
(the node's, one that \`go\` kept in the cache, or one that peers or the
database give), or a go.sum handed over with --for. What nobody vouches for is
named and not taken. Zips are shared with the cache where its file system
allows that; one that somebody writes to later is hashed again before it is
served.

  modmesh adopt
  modmesh adopt /var/cache/go/mod --for ~/src/app/go.sum
  modmesh adopt --watch              what go downloads from now on, too

Exits 23 when a file is not what it should be, 20 when one could not be proven
or read.`,
  export: `Write a bundle: a file with the zips, go.mod files and .info files of projects,
their checksum-database records and the tiles that prove them to \`go\`. It is
carried to a site without a link, and taken in there with \`modmesh import\`.
What is not held is fetched first, where peers or upstream can be asked.

  modmesh export --for go.sum -o site.modmesh
  modmesh export --for go.sum --since site.modmesh -o update.modmesh
  modmesh export --for ~/src --plan          what is missing, and the size
  modmesh export --for go.sum -o - | ssh host modmesh import -
  modmesh export --for go.sum --tree DIR     go env -w GOPROXY=file://DIR

Exits 20 when something that is needed could not be had, and lists it.`,
  import: `Take a bundle in. Its signature, every digest, every zip and record are checked
before anything of it is visible; what is wrong is refused by its name and the
rest comes in. Begun anew it takes only what is lacking. A bundle must be
signed by this node, by a member of its mesh, or by whom --signer names: the
last line of \`modmesh export\`, and its node's \`peer=\`, say who that is.

  modmesh import --signer 12D3KooW... site.modmesh
  modmesh import --plan site.modmesh         what of it is lacking here

Exits 23 when the bundle, or something in it, is not what was signed or proven,
1 when it is no bundle, of an unknown signer, or not the next one.`,
  verify: `Hash every zip and go.mod that is held, and compare with what was proven when
it came in. Whatever is wrong is set aside, and fetched anew by the running
node, from peers or upstream. Exits 23 when something was wrong.

The running node hashes all zips in the background, too: --scrub.`,
  gc: `Remove the zips that were not used for the longest time, until the rest takes
at most --to, or the configured --max-size. Pinned ones stay, and those that
were used within the last minute; exits 20 when that is more than the size.

  modmesh gc --to 10GB --dry-run     what would be removed`,
  pin: `Keep module versions whatever --max-size says, also those that come later.
Prints all pins.

  modmesh pin golang.org/x/text@v0.32.0
  modmesh pin 'corp.example.com/*'   all versions of all modules there
  modmesh pin --for ~/src/app/go.sum --name app
                                     the zips of a project; given again, its
                                     new go.sum counts instead of the old one`,
  unpin: `End pins; name them as they were pinned. Prints those that are left.`,
  prefetch: `Have everything held that projects need, so that \`go\` can work on them with
nobody else in reach: build, vet, mod download, mod verify, mod tidy, list -m.

  modmesh prefetch                     the project of this folder
  modmesh prefetch go.sum ../other     files, and folders with all below
  modmesh prefetch golang.org/x/text@v0.32.0
  git show v1:go.sum | modmesh prefetch -

Reads go.mod, go.sum, go.work, vendor/modules.txt, lists of PATH@VERSION, and
of a go.mod its go.sum. Also fetched are the go.mod files and .info that go
asks for beyond go.sum. Left out is what go.sum still names and go asks for no
more.

Every hash of a go.sum is compared with what was proven. Exits 23 when one is
another, 20 when something is missing; each is listed, with the reason.

Done by the running node. With none running the command opens the store
itself, with the options of \`start\`, on free ports. What --pin keeps is
listed by \`modmesh pin\` and ends with \`modmesh unpin --name\`.`,
  run: `Run a command with GOPROXY set to the node of this host. With no node running,
one is started for as long as the command runs, with the options of \`start\`,
on free ports. For CI:

  modmesh run -- go build ./...

Meanwhile what the nearest project needs (as \`modmesh prefetch\` finds it) is
fetched in the background, many modules at a time.

Signals go to the command, and its exit status is that of \`run\`: 128 and the
number of the signal when one ended it, 127 when there is no such program.
When no node can be had: as other commands.`,
  accept: `Take a version that is no longer what this node saw first, such as a private
module whose tag was moved. No checksum database speaks for those, so the
first hash counts: another one is refused (409 in status, 502 to go) until
somebody who knows why it changed accepts it. Alone it lists what waits.

  modmesh accept                                 what changed, both hashes
  modmesh accept corp.example.com/lib@v1.2.0     the new one counts from now on

Whoever has the old hash in a go.sum is still told by go that it changed.`,
}

import { ask, asked, broken, eventually, forget, type Subject } from '../case.ts'
import { pseudo } from '../world.ts'

const plain = { is: 'text/plain; charset=utf-8' }
const upstream = { kind: 'upstream' } as const

/** What a version is served as. */
export const files: Subject = {
  name: 'files of a version',
  cases: [
    {
      name: 'an .info is JSON with the version that was asked for',
      steps: [
        ask('/$m/@v/v1.0.0.info', {
          status: 'ok',
          headers: { 'content-type': { starts: 'application/json' } },
          body: { kind: 'json', has: { Version: 'v1.0.0', Time: '2024-01-02T03:04:05Z' } },
        }),
      ],
    },
    {
      name: 'a .mod is plain text, byte by byte as upstream has it',
      steps: [
        ask('/$m/@v/v1.0.0.mod', {
          status: 'ok',
          headers: { 'content-type': plain },
          body: upstream,
        }),
      ],
    },
    {
      name: 'a .zip is a zip with its length, byte by byte as upstream has it',
      steps: [
        ask('/$m/@v/v1.0.0.zip', {
          status: 'ok',
          headers: {
            'content-type': { is: 'application/zip' },
            'content-length': { present: true },
          },
          body: upstream,
        }),
      ],
    },
    {
      name: 'a .mod pulls neither zip nor list',
      steps: [
        ask('/$m/@v/v1.0.0.mod', 'ok'),
        asked('/$m/@v/v1.0.0.zip', 0),
        asked('/$m/@v/list', 0),
      ],
    },
    {
      name: 'an .info pulls neither zip nor list',
      steps: [
        ask('/$m/@v/v1.0.0.info', 'ok'),
        asked('/$m/@v/v1.0.0.zip', 0),
        asked('/$m/@v/list', 0),
      ],
    },
    {
      name: 'a .zip pulls no list and no other version',
      steps: [
        ask('/$m/@v/v1.0.0.zip', 'ok'),
        asked('/$m/@v/list', 0),
        asked('/$m/@v/v1.1.0*', 0),
        asked('/$m/@latest', 0),
      ],
    },
    {
      name: 'what was served once is not asked of upstream again',
      steps: [
        ask('/$m/@v/v1.0.0.info', 'ok'),
        ask('/$m/@v/v1.0.0.mod', 'ok'),
        ask('/$m/@v/v1.0.0.zip', 'ok'),
        forget,
        ask('/$m/@v/v1.0.0.info', 'ok'),
        ask('/$m/@v/v1.0.0.mod', { status: 'ok', body: upstream }),
        ask('/$m/@v/v1.0.0.zip', { status: 'ok', body: upstream }),
        asked('/$m/*', 0),
      ],
    },
    {
      name: 'a pseudo-version is a version',
      steps: [
        ask(`/$m/@v/${pseudo}.info`, {
          status: 'ok',
          body: { kind: 'json', has: { Version: pseudo } },
        }),
        ask(`/$m/@v/${pseudo}.zip`, { status: 'ok', body: upstream }),
      ],
    },
    {
      name: '+incompatible is served under a raw plus',
      steps: [
        ask('/$m/@v/v2.0.0+incompatible.info', 'ok'),
        ask('/$m/@v/v2.0.0+incompatible.zip', { status: 'ok', body: upstream }),
      ],
    },
    {
      name: '+incompatible is the same under an escaped plus',
      steps: [
        ask('/$m/@v/v2.0.0%2Bincompatible.zip', { status: 'ok', body: upstream }),
        ask('/$m/@v/v2.0.0+incompatible.zip', 'ok'),
        asked('/$m/@v/v2.0.0+incompatible.zip', 1),
      ],
    },
    {
      name: 'a go.mod that a module does not have is the one line that upstream made up',
      steps: [
        ask('/$m/@v/v2.0.0+incompatible.mod', {
          status: 'ok',
          body: { kind: 'has', texts: ['module $m\n'] },
        }),
      ],
    },
    {
      name: 'a major version has its suffix in the path',
      steps: [
        ask('/$m/v2/@v/v2.0.0.zip', { status: 'ok', body: upstream }),
        ask('/$m/v2/@v/v1.0.0.zip', 'absent'),
        ask('/$m/@v/v2.0.0.zip', 'absent'),
        asked('/$m/v2/@v/v1.0.0.zip', 0),
        asked('/$m/@v/v2.0.0.zip', 0),
      ],
    },
    {
      name: 'a module of the toolchain kind is a module',
      modules: [{ path: 'golang.org/toolchain', version: 'v0.0.1-go1.99.1.linux-amd64' }],
      steps: [
        ask('/golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-amd64.info', 'ok'),
        ask('/golang.org/toolchain/@v/v0.0.1-go1.99.1.linux-amd64.zip', {
          status: 'ok',
          body: upstream,
        }),
      ],
    },
    ...(['info', 'mod', 'zip'] as const).map((kind) => ({
      name: `a version that nobody has is absent as .${kind}, with a text that names it`,
      steps: [
        ask(`/$m/@v/v1.9.9.${kind}`, {
          status: 'absent',
          body: { kind: 'shown', texts: ['v1.9.9'] } as const,
        }),
      ],
    })),
    ...(['info', 'mod', 'zip'] as const).map((kind) => ({
      name: `a module that nobody has is absent as .${kind}`,
      steps: [ask(`/$x/@v/v1.0.0.${kind}`, { status: 'absent', body: { kind: 'shown' } as const })],
    })),
    {
      name: "upstream's 410 is absent as its 404 is",
      steps: [
        broken('/$m/@v/v1.0.0*', { kind: 'status', status: 410 }),
        ask('/$m/@v/v1.0.0.info', 'absent'),
        ask('/$m/@v/v1.0.0.mod', 'absent'),
        ask('/$m/@v/v1.0.0.zip', 'absent'),
      ],
    },
    {
      name: 'a private module is served on the word of upstream',
      steps: [
        ask('/$p/@v/v1.0.0.info', 'ok'),
        ask('/$p/@v/v1.0.0.zip', { status: 'ok', body: upstream }),
        asked('$sumdb/lookup/$p*', 0),
      ],
    },
    {
      name: '/cached-only answers from what is held alone',
      steps: [
        ask('/cached-only/$m/@v/v1.0.0.zip', 'absent'),
        asked('/$m/*', 0),
        ask('/$m/@v/v1.0.0.info', 'ok'),
        ask('/$m/@v/v1.0.0.mod', 'ok'),
        ask('/$m/@v/v1.0.0.zip', 'ok'),
        forget,
        ask('/cached-only/$m/@v/v1.0.0.zip', {
          status: 'ok',
          body: { ...upstream, path: '/$m/@v/v1.0.0.zip' },
        }),
        eventually('/cached-only/$m/@v/list', {
          status: 'ok',
          body: { kind: 'lines', lines: ['v1.0.0'] },
        }),
        asked('/$m/*', 0),
      ],
    },
    {
      name: 'Disable-Module-Fetch is the same',
      steps: [
        ask('/$m/@v/v1.0.0.zip', 'absent', { headers: { 'disable-module-fetch': 'true' } }),
        asked('/$m/*', 0),
        ask('/$m/@v/v1.0.0.zip', 'ok'),
        ask('/$m/@v/v1.0.0.zip', 'ok', { headers: { 'disable-module-fetch': 'true' } }),
      ],
    },
  ],
}

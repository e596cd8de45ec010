/**
 * A stand-in upstream in a process of its own, for benchmarks: serves a GOPROXY file tree (a module cache's
 * `cache/download`) and a checksum database of everything in it, with a fixed delay per answer.
 * Prints one JSON line `{ url, gosumdb }`. Arguments: TREE DELAY_MS SUMS_FILE.
 */
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, normalize } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { FakeSumdb } from '@modmesh/sumdb/testing'

const [tree = '', delayText = '0', sumsFile = ''] = process.argv.slice(2)
const delayMs = Number(delayText)

/** Lines of `path version zipHash modHash`, `-` for a hash that is not known. */
function loadSums(file: string): FakeSumdb {
  const database = new FakeSumdb({ name: 'sum.bench.test' })
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [path, version, zip, mod] = line.split(' ')
    if (path === undefined || version === undefined || mod === undefined) continue
    const lines = [`${path} ${version}/go.mod ${mod}\n`]
    if (zip !== undefined && zip !== '-') lines.unshift(`${path} ${version} ${zip}\n`)
    database.add(path, version, lines.join(''))
  }
  return database
}

const database = loadSums(sumsFile)

function answerSumdb(rest: string, response: ServerResponse): void {
  if (rest === '/supported') {
    response.writeHead(200).end()
    return
  }
  try {
    const body = database.serve(decodeURIComponent(rest))
    response.writeHead(200, { 'content-length': body.length }).end(body)
  } catch {
    response.writeHead(404).end('not found')
  }
}

function answerFile(path: string, response: ServerResponse): void {
  const file = join(tree, normalize(decodeURIComponent(path)))
  let size: number
  try {
    size = statSync(file).size
  } catch {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('not found')
    return
  }
  response.writeHead(200, { 'content-length': size })
  createReadStream(file, { highWaterMark: 1 << 18 }).pipe(response)
}

const server = createServer((request, response) => {
  void sleep(delayMs).then(() => {
    const url = request.url ?? '/'
    const prefix = `/sumdb/${database.name}`
    if (url.startsWith(`${prefix}/`)) answerSumdb(url.slice(prefix.length), response)
    else answerFile(url, response)
  })
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  console.log(JSON.stringify({ url, gosumdb: database.keyText }))
})
process.on('SIGTERM', () => process.exit(0))

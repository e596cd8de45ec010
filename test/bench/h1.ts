import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseModuleVersion, unescapeModulePath, unescapeVersion } from '@modmesh/module'
import { verifyZipFile } from '@modmesh/store'
import { goEnvironment, type Project } from '../support/project.ts'

const goProgram = `package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/mod/sumdb/dirhash"
)

func main() {
	started := time.Now()
	for _, name := range os.Args[1:] {
		if _, err := dirhash.HashZip(name, dirhash.Hash1); err != nil {
			panic(err)
		}
	}
	fmt.Println(time.Since(started).Seconds())
}
`

/** Zip bytes per second, of the same zips: our check (zip rules and h1) and Go's dirhash.HashZip. */
export async function compareH1(
  project: Project,
  scratch: string,
): Promise<{ readonly oursMBps: number; readonly goMBps: number }> {
  const zips = zipFiles(project.tree)
  const bytes = zips.reduce((sum, zip) => sum + statSync(zip.file).size, 0)
  const go = buildGoProgram(project, scratch)
  const files = zips.map((zip) => zip.file)
  const goSeconds = () => Number(execFileSync(go, files, { encoding: 'utf8', maxBuffer: 1 << 20 }))
  const ourSeconds = async () => {
    const started = performance.now()
    for (const { file, module } of zips) await verifyZipFile(file, module)
    return (performance.now() - started) / 1000
  }
  goSeconds() // both read from the page cache
  const ours = await ourSeconds()
  const theirs = goSeconds()
  const oursAgain = await ourSeconds()
  return {
    oursMBps: bytes / 1e6 / Math.min(ours, oursAgain),
    goMBps: bytes / 1e6 / Math.min(theirs, goSeconds()),
  }
}

function buildGoProgram(project: Project, scratch: string): string {
  const folder = join(scratch, 'dirhash')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'main.go'), goProgram)
  writeFileSync(join(folder, 'go.mod'), 'module dirhash\n\ngo 1.24\n')
  const gopath = join(scratch, 'gopath')
  const env = goEnvironment(gopath, { GOPROXY: `file://${project.tree}`, GOSUMDB: 'off' })
  const inFolder = { cwd: folder, env, stdio: 'ignore' } as const
  execFileSync(
    'go',
    ['get', `golang.org/x/mod@${newest(project.tree, 'golang.org/x/mod')}`],
    inFolder,
  )
  execFileSync('go', ['mod', 'tidy'], inFolder)
  execFileSync('go', ['build', '-o', 'dirhash', '.'], inFolder)
  return join(folder, 'dirhash')
}

function newest(tree: string, path: string): string {
  const zip = readdirSync(join(tree, path, '@v')).find((name) => name.endsWith('.zip'))
  if (zip === undefined) throw new Error(`${path}: the project does not use it`)
  return zip.slice(0, -'.zip'.length)
}

function zipFiles(tree: string): { file: string; module: ReturnType<typeof parseModuleVersion> }[] {
  const names = readdirSync(tree, { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith('.zip') && name.includes('/@v/'))
    .map((name) => {
      const [escaped = '', file = ''] = name.split('/@v/')
      const version = unescapeVersion(file.slice(0, -'.zip'.length))
      return {
        file: join(tree, name),
        module: parseModuleVersion(unescapeModulePath(escaped), version),
      }
    })
}

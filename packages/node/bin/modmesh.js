#!/usr/bin/env node
/** The program from a checkout: bundles the sources first when they have changed since. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { isFresh } from '../build/inputs.js'

if (Number(process.versions.node.split('.')[0]) < 24) {
  console.error(`modmesh: needs Node 24 or newer, this is ${process.version}: pnpm exec node …`)
  process.exit(1)
}
const folder = new URL('../bundle/', import.meta.url)
if (!isFresh(fileURLToPath(folder))) {
  // In a process of its own: what a bundler takes in memory must not stay with the node.
  const bundler = fileURLToPath(new URL('../build/main.ts', import.meta.url))
  const { status, error } = spawnSync(process.execPath, [bundler], { stdio: ['ignore', 2, 2] })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}
await import(new URL('main.js', folder).href)

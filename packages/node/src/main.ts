#!/usr/bin/env node
import { tuneEngine } from './engine.ts'

tuneEngine()
// Loaded after, so that the engine's settings hold for all of it.
const { runCommandLine } = await import('./command-line.ts')
process.exitCode = await runCommandLine(process.argv.slice(2))

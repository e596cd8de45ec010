#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8'
import { runCommandLine } from './command-line.ts'

// V8 else starts a whole collection for each 64 MB of buffers that pass through: a fifth of a fill.
setFlagsFromString('--external-memory-accounted-in-global-limit')

process.exitCode = await runCommandLine(process.argv.slice(2))

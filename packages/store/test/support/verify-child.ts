import { verifyZipFile } from '../../src/zip-verify.ts'
import { moduleAt } from './zips.ts'

/** Verifies a zip and prints by how many bytes the process grew meanwhile. */
const before = process.memoryUsage.rss()
let peak = before
const isAborted = (): boolean => {
  peak = Math.max(peak, process.memoryUsage.rss())
  return false
}
await verifyZipFile(process.argv[2] ?? '', moduleAt('v1.0.0'), { isAborted })
process.stdout.write(`${peak - before}\n`)

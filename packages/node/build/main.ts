import { fileURLToPath } from 'node:url'
import { makeBundle } from './bundle.ts'

try {
  await makeBundle(fileURLToPath(new URL('../bundle/', import.meta.url)))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

import { DiskStore } from '../../src/disk-store.ts'
import { never } from './zips.ts'

/** Prints how many sound things a store holds; in a process of its own, because level may abort it. */
const store = await DiskStore.open({ dir: process.argv[2] ?? '' })
let sound = 0
for await (const { ok } of store.verifyAll(never)) if (ok) sound++
await store[Symbol.asyncDispose]()
process.stdout.write(`${sound}\n`)

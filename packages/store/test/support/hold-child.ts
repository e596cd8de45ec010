import { DiskStore } from '../../src/disk-store.ts'

/** Opens a store and keeps it until it is killed. */
await DiskStore.open({ dir: process.argv[2] ?? '' })
process.stdout.write('open\n')
setInterval(() => {}, 60_000)

import { DiskStore } from '../../src/disk-store.ts'
import { moduleAt, putZip, smallZip } from './zips.ts'

/** Commits a zip in a store and dies at one step of it, as if killed there. */
const [dir, step, when] = process.argv.slice(2)
const store = await DiskStore.open({
  dir: dir ?? '',
  hooks: {
    onStep: (at, now) => {
      if (at === step && now === when) process.kill(process.pid, 'SIGKILL')
    },
  },
})
const module = moduleAt('v1.1.0')
await putZip(store, module, smallZip(module).bytes)
await store[Symbol.asyncDispose]()

import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts', 'test/sim/**/*.test.ts'],
          // Limits are for what hangs: a loaded machine may take ten times as long as a quiet one.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: 30_000 } },
          // Files share a process, and what is loaded in it: loading libp2p for each took half of all the time.
          isolate: false,
          // Tests also wait for sockets, disks and children.
          maxWorkers: availableParallelism() + 1,
          env: {
            NODE_COMPILE_CACHE: fileURLToPath(new URL('node_modules/.cache/node', import.meta.url)),
          },
        },
      },
      {
        test: {
          name: 'mesh',
          globalSetup: ['test/support/bundle.ts'],
          include: ['test/scenarios/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          expect: { poll: { timeout: 60_000 } },
          fileParallelism: false,
        },
      },
    ],
  },
})

import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts', 'test/sim/**/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'mesh',
          globalSetup: ['test/support/bundle.ts'],
          include: ['test/scenarios/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
})

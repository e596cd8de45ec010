import type { FakeModule } from './fake-upstream.ts'

/** A toolchain module for this platform, as `go` switches to: `go` in it prints its name and what it was asked. */
export function fakeToolchain(version: string): FakeModule {
  const script = `#!/bin/sh\necho "fake ${version}: $*"\n`
  return {
    path: 'golang.org/toolchain',
    version: `v0.0.1-${version}.${process.platform}-${goArch()}`,
    files: {
      VERSION: `${version}\n`,
      'bin/go': script,
      'bin/gofmt': script,
      // `go` sets the execute bits of these two folders before it runs bin/go.
      [`pkg/tool/${process.platform}_${goArch()}/compile`]: script,
      'lib/wasm/go_js_wasm_exec': script,
    },
  }
}

/** GOARCH of the machine that the tests run on. */
function goArch(): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }
  return names[process.arch] ?? process.arch
}

/** Six lines for somebody who asks the node with curl what it is. */
export function setupPage(baseUrl: string): string {
  const lines = [
    'modmesh: a peer-to-peer mesh of Go module caches. This is the GOPROXY of this host.',
    `  use it:   go env -w GOPROXY=${baseUrl}`,
    `  loosely:  go env -w GOPROXY='${baseUrl}|https://proxy.golang.org,direct'  # also past what it refuses`,
    `  try it:   curl ${baseUrl}/golang.org/x/text/@v/list`,
    `  health:   curl ${baseUrl}/-/status`,
    '  undo:     go env -u GOPROXY',
  ]
  return `${lines.join('\n')}\n`
}

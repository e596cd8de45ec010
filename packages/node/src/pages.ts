import type { ExtraPage, ExtraPages } from '@modmesh/goproxy'
import type { Catalogue } from './catalogue.ts'
import { catalogPage, indexPage } from './catalogue-pages.ts'
import type { RunningStatus } from './status.ts'

const plainText = 'text/plain; charset=utf-8'

/** What the pages show. */
export interface PageSource {
  /** Undefined when `go` can be answered, else why not. */
  notReady(): string | undefined
  status(): Promise<RunningStatus>
  readonly catalogue: Catalogue
}

/** The node's own pages beside the GOPROXY paths. Nothing here changes state or shows a secret. */
export function nodePages(source: PageSource): ExtraPages {
  return {
    get: (path, query) => {
      switch (path) {
        case '/-/healthz':
          return { status: 200, type: plainText, body: 'ok\n' }
        case '/-/readyz':
          return readyPage(source.notReady())
        case '/-/status':
          return statusPage(source)
        case '/-/index':
          return indexPage(source.catalogue, query)
        case '/-/catalog':
          return catalogPage(source.catalogue, query)
        default:
          return undefined
      }
    },
  }
}

function readyPage(reason: string | undefined): ExtraPage {
  if (reason === undefined) return { status: 200, type: plainText, body: 'ready\n' }
  return { status: 503, type: plainText, body: `${reason}\n` }
}

async function statusPage(source: PageSource): Promise<ExtraPage> {
  const body = `${JSON.stringify(await source.status())}\n`
  return { status: 200, type: 'application/json', body }
}
